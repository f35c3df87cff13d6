import { expect } from "chai"
import { parseTokenUri, selectorText } from "#src/core/token/token-uri.js"
import { expectCode } from "#test/support/expect-code.js"

describe("parseTokenUri", () => {
  it("takes a URI apart and decodes it", () => {
    const uri = parseTokenUri(
      "pkcs11:token=The%20Software%20PKCS%2311%20softtoken;serial=92f3;manufacturer=A%3bB;slot-id=3;x-vendor=1" +
        "?module-path=/usr/lib/p%26q.so&pin-source=file:/etc/pin" +
        "&x-library-parameters=configdir%3D'sql:/d'%20flags%3D%20&x-other=2",
    )
    expect(uri).to.deep.equal({
      selectors: { token: "The Software PKCS#11 softtoken", serial: "92f3", manufacturer: "A;B", "slot-id": "3" },
      modulePath: "/usr/lib/p&q.so",
      pinSource: "file:/etc/pin",
      libraryParameters: "configdir='sql:/d' flags= ",
    })
    expect(selectorText(uri)).to.equal("token=The Software PKCS#11 softtoken, serial=92f3, manufacturer=A;B, slot-id=3")
  })

  it("takes a URI that names a module only", () => {
    expect(parseTokenUri("PKCS11:?module-path=/m.so")).to.deep.equal({
      selectors: {},
      modulePath: "/m.so",
      pinSource: null,
      libraryParameters: null,
    })
  })

  const refused: Readonly<Record<string, string>> = {
    "another scheme": "pkcs12:token=a",
    "no scheme": "token=a",
    "an unknown selector": "pkcs11:tokn=a",
    "an unknown option": "pkcs11:token=a?module=/m.so",
    "a selector after the question mark": "pkcs11:token=a?serial=1",
    "an option before the question mark": "pkcs11:token=a;module-path=/m.so",
    "a selector twice": "pkcs11:token=a;token=b",
    "an option twice": "pkcs11:token=a?module-path=/a&module-path=/b",
    "two question marks": "pkcs11:token=a?module-path=/a?pin-source=b",
    "a name without value": "pkcs11:token",
    "a name without value that is a letter longer than one that is there": "pkcs11:tokenx",
    "an empty value": "pkcs11:token=",
    "an empty name": "pkcs11:=a",
    "an empty attribute": "pkcs11:token=a;",
    "a broken escape": "pkcs11:token=%zz",
    "bytes that are not UTF-8": "pkcs11:token=%ff",
    "a zero byte": "pkcs11:token=a?module-path=/a%00b",
    "slot-id alone": "pkcs11:slot-id=3?module-path=/m.so",
    "slot-id with a library": "pkcs11:slot-id=3;library-manufacturer=x?module-path=/m.so",
    "an object": "pkcs11:token=a;object=b",
    "an object's id": "pkcs11:token=a;id=%01",
    "an object's type": "pkcs11:token=a;type=private",
    "a module by name": "pkcs11:token=a?module-name=softhsm",
    "a PIN": "pkcs11:token=a?pin-value=1234",
    "a PIN among the selectors": "pkcs11:token=a;pin-value=1234",
    "the name of an inherited property": "pkcs11:token=a;constructor=1",
  }
  for (const [what, text] of Object.entries(refused)) {
    it(`refuses ${what}`, async () => {
      const error = await expectCode("ERR_TOKEN_URI_INVALID", () => parseTokenUri(text))
      expect(error.message).not.to.include("1234")
    })
  }
})
