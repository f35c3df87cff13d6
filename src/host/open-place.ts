import { KeyferryError } from "../core/base/error.js"
import type { PostgresSettings } from "../core/manifest/state-settings.js"
import type { Clock } from "../core/ports/clock.js"
import type { Env, Flags, Settings } from "./settings.js"
import type { StatePlace } from "./state-place.js"

/**
 * The place that `--state-dir` names; else the database of KEYFERRY_STATE_URL or of the configuration file
 * (`state.postgres`), or else the state directory.
 *
 * @throws ERR_USAGE where the environment names a directory besides a database; ERR_STATE_*, ERR_DATABASE_*
 */
export async function openPlace(
  flags: Flags,
  { env, command }: { readonly env: Env; readonly command: string },
  { settings, clock }: { readonly settings: () => Promise<Settings>; readonly clock: Pick<Clock, "now"> },
): Promise<StatePlace> {
  const postgres = flags.stateDir === undefined ? postgresOf(await settings(), env) : null
  if (postgres !== null) {
    refuseDirectory(env)
    const { databasePlace } = await import("./database-place.js")
    return await databasePlace(postgres, { command, clock })
  }
  const { filePlace } = await import("./file-place.js")
  const { stateDirPath } = await import("../config/state-dir.js")
  return await filePlace(stateDirPath(flags.stateDir, env), clock)
}

/** The database that the state is in; null where it is in a state directory. */
export function postgresOf({ manifest }: Settings, env: Env): PostgresSettings | null {
  const postgres = manifest?.postgres ?? null
  const url = env["KEYFERRY_STATE_URL"] ?? ""
  return url === "" ? postgres : { ...postgres, url }
}

/** An old setting would part the state in two: some commands would work on the one, and some on the other. */
function refuseDirectory(env: Env): void {
  const directory = env["KEYFERRY_STATE_DIR"] ?? ""
  if (directory === "") return
  throw new KeyferryError("ERR_USAGE", "the state is in a database, and KEYFERRY_STATE_DIR names a directory", {
    hint: "take KEYFERRY_STATE_DIR out of the environment; --state-dir works on a directory all the same, as for `state export`",
  })
}
