import { createHash, createHmac } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { expect } from "chai"
import { KeyferryError } from "#src/core/base/error.js"
import { Secret } from "#src/core/base/secret.js"
import type { Kms } from "#src/core/ports/kms.js"
import { openKms } from "#src/kms/kms.js"
import { expectCode } from "../support/expect-code.js"
import { awsEnvironment, CREDENTIALS } from "../support/aws-environment.js"
import { answering, type Listening, serveHttp } from "../support/servers.js"

const ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const METADATA = {
  Arn: ARN,
  KeyState: "Enabled",
  KeySpec: "SYMMETRIC_DEFAULT",
  KeyUsage: "ENCRYPT_DECRYPT",
  Origin: "EXTERNAL",
}
const SECRET = CREDENTIALS.AWS_SECRET_ACCESS_KEY
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest()

/** The signature of a request as AWS reckons it (IAM User Guide, "Create a signed AWS API request"). */
function signatureOf({ headers, url = "" }: IncomingMessage, body: string): string {
  const [, date = "", region = "", service = "", names = ""] =
    /Credential=[^/]+\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+),/.exec(
      headers.authorization ?? "",
    ) ?? []
  const lines = names.split(";").map((name) => `${name}:${String(headers[name])}\n`)
  const canonical = ["POST", url, "", lines.join(""), names, sha256(body)].join("\n")
  const scope = [date, region, service, "aws4_request"].join("/")
  const text = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, sha256(canonical)].join("\n")
  const key = [date, region, service, "aws4_request"].reduce<string | Buffer>(hmac, `AWS4${SECRET}`)
  return hmac(key, text).toString("hex")
}

describe("requests of KMS as they go out", () => {
  awsEnvironment()
  const asked: { readonly request: IncomingMessage; readonly body: string }[] = []
  let server: Listening
  let kms: Kms & Disposable
  let answer: object = {}
  let status = 200
  before(async () => {
    const listener = answering((request, body) => {
      asked.push({ request, body })
      return [status, "application/x-amz-json-1.1", JSON.stringify(answer)]
    })
    server = await serveHttp(listener)
    kms = await openKms({ region: "us-east-1", endpointUrl: `http://127.0.0.1:${server.port}/under/here`, env: {} })
  })
  after(async () => {
    kms[Symbol.dispose]()
    await server[Symbol.asyncDispose]()
  })
  beforeEach(() => (asked.length = 0))

  it("are signed as AWS reckons it, over the operation, the body and the host", async () => {
    answer = { KeyMetadata: METADATA }
    await kms.describeKey(ARN)
    const [{ request, body } = expect.fail("nothing was asked")] = asked
    expect(request.headers.authorization).to.match(
      / Credential=AKIALOCALKMSTEST0000\/\d{8}\/us-east-1\/kms\/aws4_request, /,
    )
    expect(request.headers.authorization).to.match(/SignedHeaders=[^,]*content-type;host;x-amz-[^,]*x-amz-target/)
    expect(request.headers.authorization).to.contain(`Signature=${signatureOf(request, body)}`)
    expect(request.headers["x-amz-target"]).to.equal("TrentService.DescribeKey")
    expect(request.url).to.equal("/under/here/")
    expect(body).to.equal(JSON.stringify({ KeyId: ARN }))
  })

  it("have bytes in base64, and times in seconds", async () => {
    answer = { KeyId: ARN, KeyMaterialId: "a".repeat(64) }
    const validTo = new Date("2027-03-01T12:00:00.250Z")
    await kms.importKeyMaterial(ARN, new Secret(Uint8Array.of(0, 255)), Uint8Array.of(1, 2, 3), {
      validTo,
      importType: "NEW_KEY_MATERIAL",
    })
    expect(JSON.parse(asked[0]?.body ?? "")).to.deep.equal({
      KeyId: ARN,
      ImportToken: "AP8=",
      EncryptedKeyMaterial: "AQID",
      ExpirationModel: "KEY_MATERIAL_EXPIRES",
      ValidTo: 1_803_902_400.25,
      ImportType: "NEW_KEY_MATERIAL",
    })
  })

  it("have umlauts as they are, and the length in bytes", async () => {
    answer = {}
    await kms.updateKeyDescription(ARN, "Schlüssel für Zürich")
    const [{ request, body } = expect.fail("nothing was asked")] = asked
    expect(JSON.parse(body)).to.deep.equal({ KeyId: ARN, Description: "Schlüssel für Zürich" })
    expect(request.headers.authorization).to.contain(`Signature=${signatureOf(request, body)}`)
  })

  it("are answered alike where a member is null and where it is not there", async () => {
    answer = { KeyMetadata: { ...METADATA, ValidTo: null, MultiRegionConfiguration: null, CreationDate: 1.5e9 } }
    const description = await kms.describeKey(ARN)
    expect(description.validTo).to.equal(null)
    expect(description.creationDate).to.deep.equal(new Date("2017-07-14T02:40:00Z"))
  })

  it("that change something are asked for before each attempt, and not sent where that is refused", async () => {
    let attempts = 0
    const refusal = new KeyferryError("ERR_BINDING_LOST", "another process has taken over the work")
    using guarded = await openKms({
      region: "us-east-1",
      endpointUrl: `http://127.0.0.1:${server.port}/`,
      env: {},
      beforeChange: () => {
        attempts += 1
        return attempts < 2 ? Promise.resolve() : Promise.reject(refusal)
      },
    })
    status = 400
    answer = { __type: "ThrottlingException" }
    const creation = { keySpec: "SYMMETRIC_DEFAULT", keyUsage: "ENCRYPT_DECRYPT", description: null } as const
    await expectCode("ERR_BINDING_LOST", () => guarded.createKey({ ...creation, multiRegion: false, tags: {} }))
    expect(asked).to.have.length(1)
    status = 200
    answer = { KeyMetadata: METADATA }
    await guarded.describeKey(ARN)
    expect(attempts).to.equal(2)
  })
})
