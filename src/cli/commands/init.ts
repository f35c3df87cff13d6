import { shellPath } from "../../core/base/shell-word.js"
import { REGION } from "../../core/key/aws-name.js"
import { KeyferryError } from "../../core/base/error.js"
import { profileFamilies, profileNamed } from "../../pkcs11/profiles.js"
import { defineCommand } from "../command.js"

export const init = defineCommand({
  name: "init",
  describe: "write a commented configuration file for a token profile",
  examples: [
    ["$0 init --profile softhsm2 --out keyferry.yaml", "then correct what is yours, and keyferry config check"],
    ["$0 init --profile luna --label byok --region eu-west-3", "to standard output"],
  ],
  options: {
    profile: {
      choices: profileFamilies(),
      demandOption: true,
      describe: "family of the token; generic for one that is not listed",
    },
    module: { type: "string", describe: "absolute path of the PKCS #11 library; default: where it usually is" },
    label: { type: "string", default: "byok", describe: "label of the token" },
    region: { type: "string", describe: "AWS Region of the target [AWS_REGION]; default: us-east-1" },
    out: { type: "string", describe: "file to write, which must not exist; default: standard output" },
  },
  async run(args, { env }) {
    const profile = profileNamed(args.profile)
    if (profile === undefined) throw new KeyferryError("ERR_BUG", `the profile ${args.profile} is listed and not there`)
    if (args.module?.startsWith("/") === false) {
      throw new KeyferryError("ERR_USAGE", `--module '${args.module}' is no absolute path`)
    }
    const { template } = await import("../../config/template.js")
    const { refuseExisting, writeOutput } = await import("../../store/files/output-file.js")
    const inherited = env["AWS_REGION"] ?? ""
    const content = template({
      profile: args.profile,
      title: profile.title,
      notes: profile.notes,
      modulePath: args.module ?? profile.modulePath,
      libraryParameters: profile.libraryParameters,
      label: args.label,
      region: args.region ?? (REGION.test(inherited) ? inherited : "us-east-1"),
    })
    if (args.out === undefined) return { result: { profile: args.profile, content }, text: () => content.trimEnd() }
    await refuseExisting(args.out)
    await writeOutput(args.out, content)
    return {
      result: { profile: args.profile, file: args.out },
      text: `${args.out} written: correct what is yours, then keyferry config check --config ${shellPath(args.out)}`,
    }
  },
})
