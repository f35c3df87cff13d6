import { KeyferryError } from "../core/base/error.js"
import { translate } from "./error.js"
import type { NativeError } from "./fault.js"

/** One API call that was answered or failed, for the log. */
export interface KmsCall {
  readonly operation: string
  readonly durationMs: number
  readonly requestId: string | null
  readonly attempts: number | null
  /** The AWS error name, or null. */
  readonly error: string | null
}

interface Output {
  readonly $metadata: { readonly requestId?: string; readonly attempts?: number }
}

/** Runs an SDK call: its error translated, its duration and request ID told to the log. */
export type Caller = <T extends Output>(
  request: { operation: string; input: object; keyId?: string },
  run: () => Promise<T>,
) => Promise<T>

export function caller(onCall: ((call: KmsCall) => void) | undefined): Caller {
  return async <T extends Output>(request: Parameters<Caller>[0], run: () => Promise<T>): Promise<T> => {
    const start = performance.now()
    const report = (metadata: Partial<Output["$metadata"]>, error: string | null): void =>
      onCall?.({
        operation: request.operation,
        durationMs: Math.round(performance.now() - start),
        requestId: metadata.requestId ?? null,
        attempts: metadata.attempts ?? null,
        error,
      })
    try {
      const output = await run()
      report(output.$metadata, null)
      return output
    } catch (error) {
      report((error as NativeError).$metadata ?? {}, (error as NativeError).name ?? "Error")
      throw translate(error, request)
    }
  }
}

/** Pages of a List operation, fetched as they are asked for. A marker that comes back unchanged would never end. */
export async function* paged<
  T extends { readonly NextMarker?: string | undefined; readonly Truncated?: boolean | undefined },
>(operation: string, page: (marker: { Marker?: string }) => Promise<T>): AsyncGenerator<T> {
  for (let marker: string | undefined; ;) {
    const output = await page(marker === undefined ? {} : { Marker: marker })
    yield output
    if (output.Truncated !== true || output.NextMarker === undefined) return
    if (output.NextMarker === marker) {
      throw new KeyferryError("ERR_KMS_ANSWER", `${operation}: the same page comes again and again`)
    }
    marker = output.NextMarker
  }
}
