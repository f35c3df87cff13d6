import type { AnyCommand } from "../command.js"
import { GENERAL } from "../options/options.js"
import { plainWords } from "../parse/words.js"

/** Where each command lives; a module is loaded only when its command is called, or when help needs them all. */
const COMMANDS: Readonly<Record<string, () => Promise<AnyCommand>>> = {
  provision: async () => erase((await import("./provision.js")).provision),
  replace: async () => erase((await import("./replace.js")).replace),
  retire: async () => erase((await import("./retire.js")).retire),
  rotate: async () => erase((await import("./rotate.js")).rotate),
  rewrap: async () => erase((await import("./rewrap.js")).rewrap),
  recover: async () => erase((await import("./recover.js")).recover),
  plan: async () => erase((await import("./plan.js")).plan),
  apply: async () => erase((await import("./apply.js")).apply),
  status: async () => erase((await import("./status.js")).status),
  agent: async () => erase((await import("./agent.js")).agent),
  "agent notify": async () => erase((await import("./agent-notify.js")).agentNotify),
  "agent pause": async () => erase((await import("./agent-pause.js")).agentPause),
  check: async () => erase((await import("./check.js")).check),
  doctor: async () => erase((await import("./doctor.js")).doctor),
  "token list": async () => erase((await import("./token-list.js")).tokenList),
  "token probe": async () => erase((await import("./token-probe.js")).tokenProbe),
  "key generate": async () => erase((await import("./key-generate.js")).keyGenerate),
  "key list": async () => erase((await import("./key-list.js")).keyList),
  "key show": async () => erase((await import("./key-show.js")).keyShow),
  "key destroy": async () => erase((await import("./key-destroy.js")).keyDestroy),
  verify: async () => erase((await import("./verify.js")).verify),
  disable: async () => erase((await import("./disable.js")).disable),
  enable: async () => erase((await import("./enable.js")).enable),
  "delete-material": async () => erase((await import("./delete-material.js")).deleteMaterial),
  "schedule-deletion": async () => erase((await import("./schedule-deletion.js")).scheduleDeletion),
  "key adopt": async () => erase((await import("./key-adopt.js")).keyAdopt),
  "key reseal": async () => erase((await import("./key-reseal.js")).keyReseal),
  "key lock": async () => erase((await import("./key-lock.js")).keyLock),
  "key backup-confirmed": async () => erase((await import("./key-backup-confirmed.js")).keyBackupConfirmed),
  params: async () => erase((await import("./params.js")).params),
  wrap: async () => erase((await import("./wrap.js")).wrap),
  import: async () => erase((await import("./import.js")).importCommand),
  "state export": async () => erase((await import("./state-export.js")).stateExport),
  "state import": async () => erase((await import("./state-import.js")).stateImport),
  "state migrate": async () => erase((await import("./state-migrate.js")).stateMigrate),
  "log rotate": async () => erase((await import("./log-rotate.js")).logRotate),
  "state merge": async () => erase((await import("./state-merge.js")).stateMerge),
  init: async () => erase((await import("./init.js")).init),
  "config check": async () => erase((await import("./config-check.js")).configCheck),
  "config schema": async () => erase((await import("./config-schema.js")).configSchema),
  "policy iam": async () => erase((await import("./policy-iam.js")).policyIam),
  "policy key": async () => erase((await import("./policy-key.js")).policyKey),
  "policy guard": async () => erase((await import("./policy-guard.js")).policyGuard),
  "policy alarm": async () => erase((await import("./policy-alarm.js")).policyAlarm),
  "policy eventbridge": async () => erase((await import("./policy-eventbridge.js")).policyEventbridge),
  "policy postgres": async () => erase((await import("./policy-postgres.js")).policyPostgres),
  "policy siem": async () => erase((await import("./policy-siem.js")).policySiem),
  "local-kms": async () => erase((await import("./local-kms.js")).localKms),
  completion: async () => erase((await import("./completion.js")).completion),
}

export const GROUPS = {
  key: "source keys in the token",
  token: "tokens of a module, and what they can do",
  state: "the state directory as a whole",
  log: "the custody log",
  config: "the configuration file",
  policy: "policies, alarms and rules of AWS for the keys of the configuration, and grants of PostgreSQL",
} as const

/** What a completion script asks with. */
export const COMPLETE = "--get-yargs-completions"

export const HELP_EPILOGUE =
  "Exit status: 0 done, 2 work found, 64 usage, 65 bad data or key, 69 unreachable, 70 bug, 73 output exists, 74 state not written, " +
  "75 try later, 76 proof failed, 77 PIN or permission, 78 configuration or policy."

export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS)

/** The commands that this command line can mean: the one it names, or all. */
export async function commandsFor(words: readonly string[]): Promise<readonly AnyCommand[]> {
  const [first = "", second = ""] = plainWords(words, GENERAL)
  const named = COMMANDS[`${first} ${second}`] ?? COMMANDS[first]
  return named === undefined || words.includes(COMPLETE) ? await allCommands() : [await named()]
}

export async function allCommands(): Promise<readonly AnyCommand[]> {
  return await Promise.all(Object.values(COMMANDS).map((load) => load()))
}

/** Option types matter inside a command only; the table holds commands of any. */
function erase(command: unknown): AnyCommand {
  return command as AnyCommand
}
