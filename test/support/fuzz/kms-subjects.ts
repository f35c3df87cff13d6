import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { crc32 } from "node:zlib"
import { Secret } from "#src/core/base/secret.js"
import type { Kms } from "#src/core/ports/kms.js"
import { openKms } from "#src/kms/kms.js"
import { createKey } from "../local-kms-fixture.js"
import { kmsClient } from "../local-kms.js"
import type { Subject } from "./subject.js"
import { fieldOf } from "./transfer-subjects.js"

/** What stands in a proxy's place of status and headers; undefined takes a header away. */
interface Wire {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Whether nobody could tell that AWS has answered. */
  readonly isForeign?: true
  /** Whether the connection ends before the answer does. */
  readonly isCut?: true
}

/** Half of the answers come with AWS' own headers. */
const WIRES: readonly Wire[] = [
  ...Array.from({ length: 10 }, () => ({ status: 200, headers: {} })),
  { status: 200, headers: { "x-amzn-requestid": undefined }, isForeign: true },
  { status: 200, headers: { "content-type": "text/html" } },
  { status: 200, headers: { date: "yesterday" } },
  { status: 200, headers: { date: undefined } },
  { status: 200, headers: {}, isCut: true },
  { status: 204, headers: {} },
  { status: 302, headers: { location: "/" } },
  { status: 403, headers: { "x-amzn-requestid": undefined, "content-type": "text/html" }, isForeign: true },
  { status: 400, headers: {} },
  { status: 500, headers: {} },
  { status: 503, headers: { "x-amzn-errortype": "\tThrottling\u00e9" } },
]

type Answer = Readonly<Record<string, unknown>>

/** An operation of KMS: how it is called, and what its answer says where it is taken. */
interface Operation {
  readonly name: string
  readonly call: (kms: Kms, keyId: string) => Promise<unknown>
  /** What the call returns if it means what the answer says. */
  readonly said: (answer: Answer) => unknown
  /** Where the local KMS is not asked. */
  readonly sample?: Answer
}

const metadata = (answer: Answer): unknown => {
  const { Arn, KeyId, KeyState, KeySpec, CustomerMasterKeySpec, KeyUsage, Origin, MultiRegion } = answer[
    "KeyMetadata"
  ] as Answer
  return [
    Arn,
    KeyId ?? String(Arn).split("/").at(-1),
    KeyState,
    KeySpec ?? CustomerMasterKeySpec,
    KeyUsage,
    Origin,
    MultiRegion ?? false,
  ]
}
const described = (key: Awaited<ReturnType<Kms["describeKey"]>>): unknown => [
  key.keyArn,
  key.keyId,
  key.keyState,
  key.keySpec,
  key.keyUsage,
  key.origin,
  key.multiRegion,
]

const OPERATIONS: readonly Operation[] = [
  { name: "DescribeKey", call: async (kms, id) => described(await kms.describeKey(id)), said: metadata },
  {
    name: "CreateKey",
    async call(kms) {
      const request = { keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC", multiRegion: false, tags: {} } as const
      return described((await kms.createKey({ ...request, description: null })).key)
    },
    said: metadata,
  },
  {
    name: "GetParametersForImport",
    async call(kms, id) {
      const answer = await kms.getParametersForImport(id, "RSAES_OAEP_SHA_256", "RSA_3072")
      const { keyArn, wrappingKey, importToken } = answer
      return [
        keyArn,
        Buffer.from(wrappingKey.spki).toString("base64"),
        Buffer.from(importToken.reveal()).toString("base64"),
      ]
    },
    said: ({ KeyId, PublicKey, ImportToken }) => [KeyId, PublicKey, ImportToken],
  },
  {
    name: "ImportKeyMaterial",
    async call(kms, id) {
      const token = new Secret<Uint8Array>(Buffer.from("token"))
      return (await kms.importKeyMaterial(id, token, Buffer.alloc(384), { validTo: null })).keyMaterialId
    },
    said: ({ KeyMaterialId }) => KeyMaterialId ?? null,
    sample: { KeyMaterialId: "0e".repeat(32) },
  },
  {
    name: "ListResourceTags",
    call: (kms, id) => kms.listResourceTags(id),
    said: ({ Tags }): Answer =>
      Object.fromEntries(
        ((Tags ?? []) as readonly Answer[]).map(({ TagKey, TagValue }): [string, unknown] => [
          String(TagKey),
          TagValue,
        ]),
      ),
  },
  {
    name: "ListAliases",
    async call(kms, id) {
      const aliases: (readonly [string, string | null])[] = []
      for await (const { alias, keyId } of kms.listAliases(id)) {
        aliases.push([alias, keyId])
        if (aliases.length > 10_000) throw new Error("the list has no end")
      }
      return aliases
    },
    said: ({ Aliases }) =>
      ((Aliases ?? []) as readonly Answer[]).map(({ AliasName, TargetKeyId }) => [AliasName, TargetKeyId ?? null]),
  },
  { name: "GetKeyPolicy", call: (kms, id) => kms.getKeyPolicy(id), said: ({ Policy }) => Policy },
]

/**
 * Answers of the local KMS, as a proxy before it may change them: the body by the mutation, status and headers by what
 * the body's checksum picks.
 */
export async function kmsSubjects(endpoint: string): Promise<readonly Subject[]> {
  const sdk = kmsClient({ endpoint })
  const keyId = await createKey(sdk, "HMAC_256")
  const { KeyMetadata } = await sdk.describeKey({ KeyId: keyId })
  const arn = KeyMetadata?.Arn ?? ""
  await sdk.createAlias({ AliasName: "alias/fuzz", TargetKeyId: keyId })
  await sdk.tagResource({ KeyId: keyId, Tags: [{ TagKey: "team", TagValue: "payments" }] })
  sdk.destroy()
  const subjects: Subject[] = []
  for (const operation of OPERATIONS) {
    const sample =
      operation.sample === undefined
        ? await recorded(endpoint, operation, arn)
        : Buffer.from(JSON.stringify({ KeyId: arn, ...operation.sample }))
    subjects.push({
      name: `the answer of ${operation.name}`,
      sample,
      read: (bytes) => readAnswer(endpoint, { operation, arn, bytes }),
    })
  }
  return subjects
}

/** What the local KMS answers. */
async function recorded(endpoint: string, operation: Operation, arn: string): Promise<Buffer> {
  let body: Buffer | undefined
  await using proxy = await startProxy(endpoint, operation.name, (answer, response, headers) => {
    body = answer
    response.writeHead(200, headers).end(answer)
  })
  using kms = await open(proxy.endpoint)
  await operation.call(kms, arn)
  if (body === undefined) throw new Error(`${operation.name} was not called`)
  return body
}

async function readAnswer(
  endpoint: string,
  { operation, arn, bytes }: { readonly operation: Operation; readonly arn: string; readonly bytes: Uint8Array },
): Promise<string | null> {
  const wire = WIRES[crc32(bytes) % WIRES.length] ?? { status: 200, headers: {} }
  await using proxy = await startProxy(endpoint, operation.name, (_answer, response, own) => {
    const headers = Object.entries({ ...own, ...wire.headers }).filter(([, text]) => text !== undefined)
    response.writeHead(wire.status, Object.fromEntries(headers) as Record<string, string>)
    if (wire.isCut === true) {
      response.write(bytes.subarray(0, bytes.length / 2))
      response.destroy()
    } else response.end(bytes)
  })
  using kms = await open(proxy.endpoint)
  const accepted: unknown = await operation.call(kms, arn)
  if (wire.isForeign === true) return "nothing tells that AWS has answered"
  let answer: Answer
  try {
    // HTTP has no body in a 204; the SDK reads no body as no fields
    answer = wire.status === 204 || bytes.length === 0 ? {} : (JSON.parse(Buffer.from(bytes).toString()) as Answer)
  } catch {
    return `it is no JSON, with status ${wire.status}`
  }
  return fieldOf({ [operation.name]: [accepted, operation.said(answer)] })
}

const open = (endpoint: string): Promise<Kms & Disposable> =>
  openKms({
    region: "us-east-1",
    endpointUrl: endpoint,
    env: {},
  })

/** Passes requests on to the local KMS; the answers of one operation go by `answer`. */
async function startProxy(
  upstream: string,
  operation: string,
  answer: (body: Buffer, response: ServerResponse, headers: Record<string, string>) => void,
): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const forward = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = []
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece)
    const target = request.headers["x-amz-target"]
    const asked = typeof target === "string" ? target : ""
    const isOurs = asked.endsWith(`.${operation}`)
    const kept = ["content-type", "x-amz-target", "authorization", "x-amz-date"]
    const headers = kept.flatMap((name): [string, string][] => {
      const text = request.headers[name]
      return typeof text === "string" ? [[name, text]] : []
    })
    const real = await fetch(`${upstream}/`, { method: "POST", headers, body: Buffer.concat(pieces) })
    const body = Buffer.from(await real.arrayBuffer())
    const own = ["content-type", "x-amzn-requestid", "date"].map((name) => [name, real.headers.get(name) ?? ""])
    if (isOurs)
      answer(body, response, { ...Object.fromEntries(own), "x-amzn-requestid": "1" } as Record<string, string>)
    else response.writeHead(real.status, Object.fromEntries(own) as Record<string, string>).end(body)
  }
  const server = createServer((request, response) => {
    forward(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
