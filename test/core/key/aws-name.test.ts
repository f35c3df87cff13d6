import { expect } from "chai"
import { aliasName, endpointFault, policyFault, policyText, proxyFault, tagFault } from "#src/core/key/aws-name.js"

type Rows = readonly [text: string, fault: string | undefined][]

describe("names and URLs that AWS takes", () => {
  const endpoints: Rows = [
    ["https://kms.example", undefined],
    ["http://localhost:8080", undefined],
    ["http://127.0.0.1:8080", undefined],
    ["http://[::1]:8080", undefined],
    ["http://kms.example", "is plain http to kms.example"],
    ["ftp://kms.example", "is neither https nor http"],
    ["kms", "is not a URL"],
    ["https://user:secret@kms.example", "carries a user name or password"],
    ["https://kms.example/?a=b", "carries a query or a fragment"],
    ["https://kms.example/#b", "carries a query or a fragment"],
  ]
  for (const [text, fault] of endpoints) it(`endpoint ${text}`, () => expect(endpointFault(text)).to.equal(fault))

  const percent = "has a % that no two hex digits follow"
  const proxies: Rows = [
    ["proxy.example:3128", undefined],
    ["https://proxy.example/", undefined],
    ["http://user:se%23cret@proxy.example", undefined],
    ["socks5://proxy.example", "is neither http nor https"],
    ["http://us%er:secret@proxy.example", percent],
    ["http://user:secr%et@proxy.example", percent],
    ["http://user:secr%ff@proxy.example", "has a user name or password that is not UTF-8"],
    ["http://proxy.example:99999", "is not a URL"],
  ]
  for (const [text, fault] of proxies) it(`proxy ${text}`, () => expect(proxyFault(text)).to.equal(fault))
  for (const sign of ["#", "?", "/", "\\", " "]) {
    it(`proxy with ${sign} in its password`, () =>
      expect(proxyFault(`http://user:se${sign}cret@proxy.example`)).to.match(/blank in its user name/))
  }

  const long = "is too long: a key has at most 128 characters, a value 256"
  const characters = "has a character that AWS does not take: letters, digits, blanks and _ . : / = + - @"
  const tags: readonly [key: string, value: string, fault: string | undefined][] = [
    ["cost centre", "7/b@c", undefined],
    ["k".repeat(128), "v".repeat(256), undefined],
    ["k".repeat(129), "v", long],
    ["k", "v".repeat(257), long],
    ["", "v", "has no key"],
    ["aws:x", "v", "uses a reserved prefix"],
    ["Keyferry:x", "v", "uses a reserved prefix"],
    ["k!", "v", characters],
    ["k", "v!", characters],
  ]
  for (const [key, value, fault] of tags) {
    it(`tag ${key.slice(0, 12)}=${value.slice(0, 12)}: ${fault ?? "good"}`, () =>
      expect(tagFault(key, value)).to.equal(fault))
  }

  it("policies are mappings, in Latin-1, of at most 32 kB", () => {
    const none = "is no key policy: a mapping, or JSON text, with a Statement"
    expect(policyFault({ Statement: [] })).to.equal(undefined)
    expect(policyFault({ Statement: ["…"] }), "escaped").to.equal(undefined)
    expect(policyText({ Statement: ["…"] })).to.equal('{"Statement":["\\u2026"]}')
    for (const text of ["{", "null", "[]", '"Statement"', "{}"]) expect(policyFault(text), text).to.equal(none)
    expect(policyFault('{"Statement":["…"]}')).to.equal("has characters beyond Latin-1, which KMS does not take")
    const twice = 'has the member "Effect" twice'
    expect(policyFault('{"Statement":[{"Effect":"Deny","Effect":"Allow"}]}')).to.equal(twice)
    const filled = (bytes: number): string => `{"Statement":"${"x".repeat(bytes - 16)}"}`
    expect(policyFault(filled(32_768))).to.equal(undefined)
    expect(policyFault(filled(32_769))).to.equal("is longer than 32768 bytes")
  })

  it("aliases have their prefix, and are not AWS' own", () => {
    expect(aliasName("payments")).to.equal("alias/payments")
    expect(aliasName("alias/payments")).to.equal("alias/payments")
    for (const text of ["aws/s3", "alias/aws/s3", "", "a b", "x".repeat(251)]) {
      expect(aliasName(text), text).to.equal(undefined)
    }
  })
})
