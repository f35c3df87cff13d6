import type { SettingName, Written } from "#src/core/manifest/key-settings.js"

/** Another value than the default of every setting: as flags give it, and as a file does. A setting without example does not compile. */
export const SETTING_EXAMPLES: { readonly [Name in SettingName]: Example<Name> } = {
  keySpec: { flags: ["--key-spec", "RSA_2048"], file: "RSA_2048" },
  keyUsage: { flags: ["--key-usage", "SIGN_VERIFY"], file: "SIGN_VERIFY" },
  alias: { flags: ["--alias", "example"], file: "example" },
  keyArn: { flags: null, file: "arn:aws:kms:eu-west-3:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" },
  tagKey: { flags: null, file: false },
  custody: { flags: ["--custody", "locked"], file: "locked" },
  localUse: { flags: ["--local-use"], file: true },
  wrapWithTrusted: { flags: null, file: false },
  wrappingAlgorithm: { flags: ["--wrapping-algorithm", "RSA_AES_KEY_WRAP_SHA_1"], file: "RSA_AES_KEY_WRAP_SHA_1" },
  wrappingKeySpec: { flags: ["--wrapping-key-spec", "RSA_3072"], file: "RSA_3072" },
  expiresIn: { flags: ["--expires-in", "never"], file: "never" },
  renewBefore: { flags: null, file: "12h" },
  renewSpread: { flags: null, file: "3h" },
  rotateEvery: { flags: null, file: "365d" },
  priority: { flags: null, file: 7 },
  description: { flags: ["--description", "for tests"], file: "for tests" },
  tags: { flags: ["--tag", "team=pay", "--tag", "cost=7"], file: { team: "pay", cost: "7" } },
  keyPolicy: { flags: ["--key-policy", '{"Statement":[]}'], file: { Statement: [] } },
  prove: { flags: ["--prove", "full"], file: "full" },
  multiRegion: { flags: ["--multi-region"], file: true },
  replicas: { flags: ["--replica", "eu-west-1"], file: ["eu-west-1"] },
}

interface Example<Name extends SettingName> {
  /** Null where no flag gives it. */
  readonly flags: readonly string[] | null
  readonly file: Written<Name>
}
