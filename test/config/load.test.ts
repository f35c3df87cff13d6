import { expect } from "chai"
import { parseManifest } from "#src/config/load.js"
import { jsonSchema } from "#src/config/schema.js"
import { effectiveText } from "#src/config/effective.js"
import { template } from "#src/config/template.js"
import { KeyferryError } from "#src/core/base/error.js"
import { bindingsOf } from "#src/core/manifest/manifest.js"
import { profileFamilies, TOKEN_PROFILES } from "#src/pkcs11/profiles.js"
import { EXAMPLE } from "#test/support/config-example.js"

const PROFILES = profileFamilies()

const read = (text: string) => parseManifest(text, "keyferry.yaml", PROFILES)

/** `path: message (line, column)` of each fault; empty where the file is right. */
function faults(text: string): readonly string[] {
  try {
    read(text)
    return []
  } catch (error) {
    if (!(error instanceof KeyferryError) || error.code !== "ERR_CONFIG_INVALID") throw error
    expect(error.exit).to.equal("CONFIG")
    return error.causes.map(({ code, message }) => `${code}: ${message}`)
  }
}

const BASE = `version: 1
tokens: { main: { uri: "pkcs11:token=a?module-path=/m.so" } }
targets: { here: { region: eu-west-3 } }
`
const keys = (text: string, more = ""): string => `${BASE}${more}keys: { k: { keySpec: SYMMETRIC_DEFAULT, ${text} } }\n`
const token = (text: string): string => `version: 1\ntokens: { t: { ${text} } }\n`
const target = (text: string): string => `version: 1\ntargets: { t: { region: eu-west-3, ${text} } }\n`

const inChina = (settings: string): string =>
  `version: 1\ntargets: { t: { region: cn-north-1 } }\nkeys: { k: { ${settings} } }\n`

describe("the configuration file", () => {
  it("gives a binding for each key and target, with its defaults", () => {
    const manifest = read(EXAMPLE)
    const [payments, signer] = bindingsOf(manifest)
    expect(payments).to.deep.include({
      owner: "byok-prod",
      name: "payments",
      target: "prod-eu",
      token: "primary",
      managed: true,
      keySpec: "SYMMETRIC_DEFAULT",
      keyUsage: "ENCRYPT_DECRYPT",
      alias: "alias/payments",
      custody: "sealed",
      wrapWithTrusted: false,
      wrappingAlgorithm: "auto",
      wrappingKeySpec: "RSA_4096",
      expiresIn: "90d",
      renewBefore: { kind: "duration", seconds: 30 * 86_400 },
      rotateEvery: 365 * 86_400,
      description: null,
      tags: {},
      keyPolicy: null,
      prove: "accept",
      multiRegion: false,
      replicas: [],
      localUse: false,
    })
    expect(signer).to.include({ expiresIn: "never", rotateEvery: null, keyUsage: "SIGN_VERIFY" })
    expect(manifest.policy).to.deep.equal({
      minimumHash: "SHA-1",
      allowCustody: ["sealed", "token"],
      allowUnenforcedCustody: false,
      allowShortScalars: false,
      requireFingerprint: false,
    })
  })

  it("makes a key's two targets two bindings, and takes the only token and target where none is named", () => {
    const two = `version: 1\ntargets: { a: { region: eu-west-3 }, b: { region: eu-west-1 } }
defaults: { targets: [a, b], rotateEvery: 30d, tags: { team: x } }
keys: { k: { keySpec: HMAC_256, tags: { cost: y } } }\n`
    expect(bindingsOf(read(two)).map(({ target: of }) => of)).to.deep.equal(["a", "b"])
    const [binding] = bindingsOf(read(two))
    expect(binding).to.deep.include({
      token: null,
      rotateEvery: null,
      tags: { team: "x", cost: "y" },
      owner: "keyferry",
    })
    expect(bindingsOf(read(keys("")))[0]).to.include({ token: "main", target: "here", custody: "sealed" })
    expect(bindingsOf(read(keys("")))[0]?.renewBefore).to.deep.equal({ kind: "percentage", percent: 33 })
  })

  it("says of many repeated keys where each stands, and of many open brackets that they are too many", () => {
    const repeated = faults(`version: 1\nkeys:\n${"  k: { keySpec: HMAC_256 }\n".repeat(20_000)}`)
    expect(repeated).to.have.lengthOf(19_999)
    expect(repeated[0]).to.include("line 4, column 3")
    expect(faults("[".repeat(200_000)).join()).to.match(/more than 100 brackets/)
    expect(faults("{a: ".repeat(200_000)).join()).to.match(/more than 100 brackets/)
  })

  it("takes JSON, a byte order mark, and a key policy in either form", () => {
    expect(faults(`\ufeff${EXAMPLE}`)).to.deep.equal([])
    expect(faults(JSON.stringify({ version: 1 }))).to.deep.equal([])
    const [inline, text] = ["keyPolicy: { Statement: [] }", `keyPolicy: '{"Statement":[]}'`].map((policy) =>
      bindingsOf(read(keys(policy))).map(({ keyPolicy }) => keyPolicy),
    )
    expect(inline).to.deep.equal(text)
  })

  const refusals: readonly (readonly [name: string, file: string, fault: RegExp])[] = [
    ["an empty file", "", /^file: is empty/],
    ["comments alone", "# nothing\n", /^file: is empty/],
    ["a list", "- a\n", /^file: must be a mapping, not a list \(line 1, column 1\)/],
    ["no version", "id: a\n", /^version: is missing/],
    ["another version", "version: 2\n", /^version: must be 1 /],
    ["a key twice", "version: 1\nid: a\nid: b\n", /same key stands here twice .*\(line 3, column 1\)/],
    ["a tab", "version: 1\nkeys:\n\tk: {}\n", /a tab is used to indent.*\(line 3, /],
    ["a second document", "version: 1\n---\nversion: 1\n", /a second document begins here/],
    ["an alias without anchor", "version: 1\nid: *a\n", /an alias that names no anchor/],
    ["a bomb of aliases", bomb(), /more aliases than any settings need/],
    ["a tag", "version: 1\nid: !secret aGVsbG8=\n", /a tag that the file may not use/],
    ["an unknown key", "version: 1\ntoken: {}\n", /^token: is no key of the configuration \(line 2, column 1\)/],
    ["an unknown key of a key", keys("aliass: a"), /^keys\.k\.aliass: is no key .*\(line 4, column 42\)/],
    ["what no command reads yet", "version: 1\nevidence: { key: a }\n", /^evidence: is no key/],
    ["what no command reads yet of agent", "version: 1\nagent: { retry: 1h }\n", /^agent\.retry: is no key/],
    ["an unknown key of defaults", "version: 1\ndefaults: { alias: x }\n", /^defaults\.alias: is no key/],
    ["__proto__", "version: 1\n__proto__: { id: x }\n", /^__proto__: is no key/],
    ["a merge key", "version: 1\n<<: { id: x }\n", /^\["<<"\]: is no key/],
    ["keys that are nothing", "version: 1\nkeys:\n", /^keys: must be a mapping, not nothing/],
    ["an id that is none", "version: 1\nid: a/b\n", /^id: is no name/],
    ["the reserved id", "version: 1\nid: custody\n", /^id: is reserved/],
    ["a key name that is none", `${BASE}keys: { "a b": { keySpec: HMAC_256 } }\n`, /^keys\["a b"\]: is no name/],
    ["a key without key spec", `${BASE}keys: { k: {} }\n`, /^keys\.k\.keySpec: is missing/],
    [
      "a key spec of China",
      keys("").replace("SYMMETRIC_DEFAULT", "SM2"),
      /^keys\.k\.keySpec: must be one of SYMM.*: SM2 exists in China Regions alone/,
    ],
    [
      "a key spec without import",
      keys("").replace("SYMMETRIC_DEFAULT", "ML_DSA_44"),
      /: KMS imports no key material of ML_DSA_44/,
    ],
    ["an unknown key spec", keys("").replace("SYMMETRIC_DEFAULT", "AES_256"), /^keys\.k\.keySpec: must be one of SYMM/],
    [
      "no key usage where several are",
      keys("").replace("SYMMETRIC_DEFAULT", "RSA_2048"),
      /^keys\.k\.keyUsage: is miss/,
    ],
    ["a key usage that does not go", keys("keyUsage: SIGN_VERIFY"), /^keys\.k\.keyUsage: does not go with/],
    ["an alias that is none", keys("alias: 'alias/a b'"), /^keys\.k\.alias: is no alias/],
    ["AWS' own alias", keys("alias: alias/aws/kms"), /^keys\.k\.alias: is no alias/],
    [
      "an alias twice in a target",
      `${BASE}keys: { a: { keySpec: HMAC_256, alias: x }, b: { keySpec: HMAC_256, alias: alias/x } }\n`,
      /^keys\.b\.alias: is that of keys\.a in target here too/,
    ],
    ["a number where text is", keys("expiresIn: 90"), /^keys\.k\.expiresIn: must be text, not a whole number/],
    ["a duration without unit", keys("expiresIn: '90'"), /^keys\.k\.expiresIn: must be a duration/],
    ["an expiry of nothing", keys("expiresIn: 0d"), /^keys\.k\.expiresIn: must be a duration/],
    ["an expiry of a year", keys("expiresIn: 365d"), /^keys\.k\.expiresIn: is 365 days or more/],
    ["a renewal before the import", keys("expiresIn: 7d, renewBefore: 7d"), /^keys\.k\.renewBefore: .*not shorter/],
    [
      "a spread longer than half of the time to the next import",
      keys("expiresIn: 10d, renewBefore: 2d, renewSpread: 5d"),
      /^keys\.k\.renewSpread: .*longer than half/,
    ],
    ["a spread of 51%", keys("renewSpread: 51%"), /^keys\.k\.renewSpread: must be .* 0% to 50%/],
    ["100%", keys("renewBefore: 100%"), /^keys\.k\.renewBefore: must be .* 1% to 99%/],
    [
      "a rotation of a key that cannot",
      keys("rotateEvery: 30d").replace("SYMMETRIC_DEFAULT", "HMAC_256"),
      /^keys\.k\.rotateEvery: is for SYMMETRIC_DEFAULT keys/,
    ],
    ["a tag of keyferry's", keys("tags: { 'keyferry:owner': x }"), /^keys\.k\.tags\["keyferry:owner"\]: .*reserved/],
    ["a tag of AWS'", "version: 1\ndefaults: { tags: { 'aws:x': y } }\n", /^defaults\.tags\["aws:x"\]: .*reserved/],
    ["a tag that is a number", keys("tags: { a: 1 }"), /^keys\.k\.tags\.a: must be text/],
    ["a key policy that is none", keys("keyPolicy: '{'"), /^keys\.k\.keyPolicy: is no key policy/],
    ["a trust that nothing gives yet", keys("wrapWithTrusted: true"), /^keys\.k\.wrapWithTrusted: is not honoured/],
    ["a token that is not there", keys("token: other"), /^keys\.k\.token: names no token of the file: other/],
    ["a target that is not there", keys("targets: [here, there]"), /^keys\.k\.targets\[1\]: names no target.*there/],
    ["a target twice", keys("targets: [here, here]"), /^keys\.k\.targets\[1\]: names here again/],
    [
      "no target",
      "version: 1\nkeys: { k: { keySpec: HMAC_256 } }\n",
      /^keys\.k\.targets: is missing, and the file has no/,
    ],
    [
      "a default target that is not there",
      "version: 1\ndefaults: { targets: [x] }\n",
      /^defaults\.targets\[0\]: names no/,
    ],
    ["session custody that expires", keys("custody: session"), /^keys\.k\.custody: .*expiresIn must be never/],
    [
      "locked custody with replicas",
      keys("custody: locked, expiresIn: never, multiRegion: { replicas: [eu-west-1] }"),
      /^keys\.k\.custody: .*every Region takes an import of its own/,
    ],
    [
      "a custody that the policy does not allow",
      keys("custody: token", "policy: { allowCustody: [sealed] }\n"),
      /^keys\.k\.custody: is token, and policy\.allowCustody permits sealed/,
    ],
    [
      "a hash that the policy does not allow",
      keys("wrappingAlgorithm: RSAES_OAEP_SHA_1", "policy: { minimumHash: SHA-256 }\n"),
      /^keys\.k\.wrappingAlgorithm: .*minimumHash/,
    ],
    [
      "an algorithm that KMS does not take",
      keys("wrappingAlgorithm: RSA_AES_KEY_WRAP_SHA_256"),
      /^keys\.k\.wrappingAlgorithm: /,
    ],
    [
      "a replica in the target's Region",
      keys("multiRegion: { replicas: [eu-west-3] }"),
      /^keys\.k\.multiRegion\.replicas\[0\]: is the Region of/,
    ],
    [
      "a replica twice",
      keys("multiRegion: { replicas: [eu-west-1, eu-west-1] }"),
      /replicas\[1\]: names eu-west-1 again/,
    ],
    ["a token without module", token("uri: 'pkcs11:token=a'"), /^tokens\.t\.uri: has no module-path/],
    [
      "a PIN in the URI",
      token("uri: 'pkcs11:token=a?module-path=/m&pin-value=1234'"),
      /^tokens\.t\.uri: has pin-value/,
    ],
    [
      "a PIN in place of its source",
      token("uri: 'pkcs11:token=a?module-path=/m', pin: '1234'"),
      /^tokens\.t\.pin: must be a mapping, not text/,
    ],
    [
      "two PIN sources",
      token("uri: 'pkcs11:token=a?module-path=/m', pin: { fd: 3, env: A }"),
      /^tokens\.t\.pin: must name one source/,
    ],
    [
      "a PIN source given twice",
      token("uri: 'pkcs11:token=a?module-path=/m&pin-source=/p', pin: { fd: 3 }"),
      /^tokens\.t\.pin: is given twice/,
    ],
    [
      "a PIN file by a relative path",
      token("uri: 'pkcs11:token=a?module-path=/m', pin: { file: pin }"),
      /^tokens\.t\.pin\.file: must be an absolute/,
    ],
    [
      "an unknown token profile",
      token("uri: 'pkcs11:token=a?module-path=/m', profile: none"),
      /^tokens\.t\.profile: must be one of softhsm2/,
    ],
    [
      "one token by two names",
      "version: 1\ntokens: { a: { uri: 'pkcs11:token=x?module-path=/m' }, b: { uri: 'pkcs11:token=x?module-path=/m' } }\n",
      /^tokens\.b: names the same token as tokens\.a/,
    ],
    [
      "one module with two parameters",
      "version: 1\ntokens: { a: { uri: 'pkcs11:token=x?module-path=/m' }, b: { uri: 'pkcs11:token=y?module-path=/m', libraryParameters: z } }\n",
      /^tokens\.b: has other library parameters/,
    ],
    ["no Region", "version: 1\ntargets: { t: {} }\n", /^targets\.t\.region: is missing/],
    [
      "a Region that is none",
      "version: 1\ntargets: { t: { region: Paris } }\n",
      /^targets\.t\.region: is not the name/,
    ],
    ["a role that is none", target("roleArn: byok"), /^targets\.t\.roleArn: is not the ARN/],
    [
      "an account that is none",
      target('account: "12345"'),
      /^targets\.t\.account: is not the number of an AWS account/,
    ],
    [
      "an account without quotes, which YAML takes for a number",
      target("account: 111122223333"),
      /^targets\.t\.account: must be text/,
    ],
    [
      "a role of another account",
      target('account: "111122223333", roleArn: "arn:aws:iam::444455556666:role/byok"'),
      /^targets\.t\.roleArn: is a role of account 444455556666, and account is 111122223333/,
    ],
    [
      "a role of another partition",
      target('roleArn: "arn:aws-cn:iam::111122223333:role/byok"'),
      /^targets\.t\.roleArn: is a role in aws-cn, and .* is in aws /,
    ],
    [
      "a proxy whose password ends the host's name",
      target("proxy: 'http://u:1#x@proxy'"),
      /^targets\.t\.proxy: carries a user name/,
    ],
    [
      "SYMMETRIC_DEFAULT in China",
      inChina("keySpec: SYMMETRIC_DEFAULT"),
      /^keys\.k\.keySpec: is SYMMETRIC_DEFAULT, which is SM4/,
    ],
    [
      "RSA keys in China",
      inChina("keySpec: RSA_2048, keyUsage: SIGN_VERIFY"),
      /^keys\.k\.wrappingAlgorithm: cannot be auto: KMS in China/,
    ],
    [
      "a replica in another partition",
      inChina("keySpec: HMAC_256, multiRegion: { replicas: [eu-west-3] }"),
      /^keys\.k\.multiRegion\.replicas\[0\]: is in another partition/,
    ],
    [
      "a tag with a sign that AWS does not take",
      keys("tags: { 'cost*': a }"),
      /^keys\.k\.tags\["cost\*"\]: has a character/,
    ],
    ["a tag's value with one", keys("tags: { cost: 'a;b' }"), /^keys\.k\.tags\.cost: has a character/],
    [
      "a policy beyond Latin-1",
      keys(`keyPolicy: '{"Statement":[],"Id":"€"}'`),
      /^keys\.k\.keyPolicy: has characters beyond/,
    ],
    ["plain http", target("endpoint: 'http://kms.example'"), /^targets\.t\.endpoint: is plain http to kms\.example/],
    ["FIPS with an endpoint", target("endpoint: 'https://kms.example', fips: true"), /^targets\.t\.fips: /],
    [
      "a password of a proxy",
      target("proxy: 'http://me:secret@proxy:3128'"),
      /^targets\.t\.proxy: carries a user name/,
    ],
    ["an unknown operation", target("quotas: { ImportKey: 3 }"), /^targets\.t\.quotas\.ImportKey: is no operation/],
    ["a quota of nothing", target("quotas: { CreateKey: 0 }"), /^targets\.t\.quotas\.CreateKey: must be more than 0/],
    [
      "a custody that is none",
      "version: 1\npolicy: { allowCustody: [safe] }\n",
      /^policy\.allowCustody\[0\]: must be one/,
    ],
  ]
  for (const [name, file, fault] of refusals) {
    it(`refuses ${name}`, () => {
      const found = faults(file)
      expect(
        found.some((one) => fault.test(one)),
        found.join("\n") || "nothing was refused",
      ).to.equal(true)
      expect(found.join("\n")).not.to.match(/1234|secret/)
    })
  }

  it("names every fault at once, in the order of the file", () => {
    const found = faults(`version: 2\nkeys: { k: { keySpec: X, aliass: 3 } }\ntokens: { t: { uri: 5 } }\n`)
    expect(found.map((one) => one.replace(/: .*/, ""))).to.deep.equal([
      "version",
      "keys.k.keySpec",
      "keys.k.aliass",
      "tokens.t.uri",
    ])
  })

  it("is printed with its defaults, as a file that says the same", () => {
    const printed = effectiveText(read(EXAMPLE))
    expect(bindingsOf(read(printed))).to.deep.equal(bindingsOf(read(EXAMPLE)))
    expect(effectiveText(read(printed))).to.equal(printed)
    expect(
      effectiveText(read(token("uri: 'pkcs11:token=a?module-path=/m', pin: { exec: 'echo 1234' }"))),
    ).not.to.contain("1234")
    const inUri = token("uri: 'pkcs11:token=a?module-path=/m&pin-source=|echo%201234'")
    expect(effectiveText(read(inUri))).not.to.contain("1234")
  })

  for (const { family, title, notes, modulePath, libraryParameters } of TOKEN_PROFILES) {
    it(`is written for ${family} so that it can be read`, () => {
      const facts = { profile: family, title, notes, modulePath, libraryParameters, label: "a b", region: "eu-west-3" }
      expect(bindingsOf(read(template(facts))).map(({ name }) => name)).to.deep.equal(["payments"])
      // what is commented out is right as well
      const all = template(facts).replace(
        /^(\s*)# (profile|sessions|roleArn|fips|quotas|rotateEvery|tags|signer):/gm,
        "$1$2:",
      )
      expect(faults(all.replace(/^( {2})# {3}(keySpec|keyUsage|multiRegion):/gm, "$1  $2:"))).to.deep.equal([])
    })
  }

  it("has a JSON Schema that knows every key, and says what each is", () => {
    const schema = jsonSchema(PROFILES) as { $schema: string; properties: Record<string, unknown> }
    expect(schema.$schema).to.equal("https://json-schema.org/draft/2020-12/schema")
    expect(Object.keys(schema.properties)).to.deep.equal([
      ...["version", "id", "tokens", "targets", "defaults", "keys", "policy", "accept", "agent", "state"],
    ])
    expect(undescribed(schema)).to.deep.equal([])
  })
})

/** Names of properties without description. */
function undescribed(schema: unknown): readonly string[] {
  if (typeof schema !== "object" || schema === null) return []
  const own = "properties" in schema ? Object.entries(schema.properties as Record<string, object>) : []
  const missing = own.flatMap(([name, of]) => ("description" in of ? [] : [name]))
  return [...missing, ...Object.values(schema).flatMap(undescribed)]
}

function bomb(): string {
  const nine = (of: string): string => `[${Array.from({ length: 9 }, () => of).join(", ")}]`
  return `a: &a ${nine("x")}\nb: &b ${nine("*a")}\nc: &c ${nine("*b")}\nd: ${nine("*c")}\n`
}
