import { expect } from "chai"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import pkcs11js from "pkcs11js"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { inspectToken } from "#src/pkcs11/session/inspect.js"
import { loadModule } from "#src/pkcs11/session/module.js"
import { describeSlots } from "#src/pkcs11/session/slots.js"
import { expectCode } from "#test/support/expect-code.js"
import { modulePath } from "#test/support/tokens.js"
import { nss, softhsm } from "../../support/token-fixture.js"

/** A library that is surely there: the C library that this process runs on. */
function libc(): string {
  const { sharedObjects } = process.report.getReport() as { sharedObjects: string[] }
  return sharedObjects.find((path) => path.includes("libc.so"))!
}

describe("loading a module", () => {
  const refused: readonly [what: string, path: () => string][] = [
    ["a path where nothing is", () => "/nonexistent/module.so"],
    ["a folder", () => "/etc"],
    ["a bare name, which the loader would search for", () => "libsofthsm2.so"],
    [
      "a file that is no library",
      () => {
        const path = join(softhsm().dir, "text.so")
        writeFileSync(path, "no library\n")
        return path
      },
    ],
    ["a library without PKCS #11", libc],
  ]
  for (const [what, path] of refused) {
    it(`refuses ${what}, with the loader's words`, async () => {
      const error = await expectCode("ERR_MODULE_UNUSABLE", () => loadModule(path()))
      expect(error.causes).to.have.lengthOf(1)
      expect(error.causes[0]?.code).to.equal("dlopen")
      expect(error.causes[0]?.message).not.to.equal("")
    })
  }

  it("refuses a module that cannot be initialised, with its answer", async () => {
    const error = await expectCode("ERR_MODULE_UNUSABLE", () => loadModule(modulePath("nss")))
    expect(error.causes).to.deep.equal([{ code: "CKR_ARGUMENTS_BAD", message: "C_Initialize" }])
  })

  it("wants a module-path", async () => {
    await expectCode("ERR_TOKEN_URI_INVALID", () => inspectToken(parseTokenUri("pkcs11:token=a")))
  })

  it("finalises with its last holder, and uses what other code initialised", () => {
    const { module } = softhsm()
    const other = new pkcs11js.PKCS11()
    other.load(module)
    const one = loadModule(module)
    const two = loadModule(module)
    one[Symbol.dispose]()
    one[Symbol.dispose]()
    expect(other.C_GetInfo()).to.have.property("libraryVersion")
    two[Symbol.dispose]()
    expect(() => other.C_GetInfo()).to.throw("CKR_CRYPTOKI_NOT_INITIALIZED")

    other.C_Initialize({ flags: 2 })
    try {
      loadModule(module)[Symbol.dispose]()
      expect(other.C_GetInfo()).to.have.property("libraryVersion")
    } finally {
      other.C_Finalize()
    }
  })

  it("refuses other library parameters than those that it was initialised with", async () => {
    const { module, libraryParameters } = nss()
    using holder = loadModule(module, { libraryParameters: libraryParameters })
    loadModule(module, { libraryParameters: libraryParameters })[Symbol.dispose]()
    for (const others of [undefined, `${libraryParameters ?? ""} flags=readOnly`]) {
      await expectCode("ERR_MODULE_UNUSABLE", () => loadModule(module, { libraryParameters: others }))
    }
    expect(describeSlots(holder)).not.to.deep.equal([])
  })

  it("shares one pkcs11js with graphene, so that its errors are recognised", () => {
    using holder = loadModule(softhsm().module)
    expect(holder.module.lib).to.be.instanceOf(pkcs11js.PKCS11)
    const call = (): void => holder.module.lib.C_CloseSession(Buffer.alloc(8, 0xff))
    expect(call).to.throw(pkcs11js.Pkcs11Error).with.property("code", pkcs11js.CKR_SESSION_HANDLE_INVALID)
  })
})
