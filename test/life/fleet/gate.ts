import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** A request of KMS that has had its effect, and whose answer nobody has yet. */
export interface Passing {
  readonly operation: string
  /** Whether KMS did what it was asked for. */
  readonly isDone: boolean
  /** ImportKeyMaterial that was asked for new material, or the operation. */
  readonly place: string
  /** Of the key that it is about, by its tags or by what KMS answered to them. */
  readonly keyName: string | null
  /** Of the material that came new with it. */
  readonly newMaterialId: string | null
}

/** What a host's requests to KMS go through. */
export interface Gate extends AsyncDisposable {
  readonly port: number
}

const FORWARDED = ["content-type", "x-amz-target", "authorization", "x-amz-date"]

/**
 * @param endpoint of KMS
 * @param names of keys by their ARNs: filled by CreateKey, of all gates
 * @param onPassing is called before the answer goes on; with false it never does
 */
export async function openGate(
  address: string,
  endpoint: string,
  { names, onPassing }: { readonly names: Map<string, string>; readonly onPassing: (passing: Passing) => boolean },
): Promise<Gate> {
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = []
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece)
    const body = Buffer.concat(pieces)
    const headers = Object.fromEntries(
      FORWARDED.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, String(request.headers[name])]])),
    )
    const answer = await fetch(`${endpoint}/`, { method: "POST", headers, body: Uint8Array.from(body) })
    const text = await answer.text()
    const operation =
      String(request.headers["x-amz-target"] ?? "")
        .split(".")
        .at(-1) ?? ""
    // a request of STS says in its body what it asks
    if (operation !== "" && !onPassing({ ...passingOf(operation, { body, text, names }), isDone: answer.ok })) {
      response.destroy()
      return
    }
    response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(text)
  }
  const server = createServer((request, response) => void pass(request, response).catch(() => response.destroy()))
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Asked {
  readonly KeyId?: string
  readonly TargetKeyId?: string
  readonly ImportType?: string
  readonly Tags?: readonly { readonly TagKey: string; readonly TagValue: string }[]
}

interface Answered {
  readonly KeyMetadata?: { readonly Arn?: string }
  readonly KeyMaterialId?: string
}

function passingOf(
  operation: string,
  { body, text, names }: { readonly body: Buffer; readonly text: string; readonly names: Map<string, string> },
): Omit<Passing, "isDone"> {
  const asked = jsonOf(body.toString()) as Asked
  const answered = jsonOf(text) as Answered
  const isNew = asked.ImportType === "NEW_KEY_MATERIAL"
  const place = isNew ? `${operation} (new)` : operation
  const newMaterialId = isNew ? (answered.KeyMaterialId ?? null) : null
  const tagged = asked.Tags?.find(({ TagKey }) => TagKey === "keyferry:name")?.TagValue
  if (operation === "CreateKey" && tagged !== undefined) {
    const { Arn } = answered.KeyMetadata ?? {}
    if (Arn !== undefined) names.set(Arn, tagged)
    return { operation, place, keyName: tagged, newMaterialId }
  }
  return { operation, place, keyName: names.get(asked.KeyId ?? asked.TargetKeyId ?? "") ?? null, newMaterialId }
}

function jsonOf(text: string): object {
  return text === "" ? {} : (JSON.parse(text) as object)
}
