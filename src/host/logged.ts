import type { Token } from "../core/ports/token.js"
import type { Log } from "../core/ports/log.js"

type Method = Exclude<keyof Token, "info" | "writeProtection" | typeof Symbol.asyncDispose>

/** What is logged of a call that succeeded. */
type Report<Name extends Method> = (call: {
  readonly args: Parameters<Token[Name]>
  readonly result: Awaited<ReturnType<Token[Name]>>
  readonly durationMs: number
}) => void

/** Has the token say in the log what was done through it; results and refusals are as they were. */
export function logCalls(token: Token, log: Log): void {
  log.event("token.opened", token.info)
  report(token, "generateSourceKey", ({ result: { id, label, keySpec, custody }, durationMs }) =>
    log.event("key.generated", { sourceKeyId: id, label, keySpec, custody, durationMs }),
  )
  report(token, "destroySourceKey", ({ args: [{ id, label }] }) =>
    log.event("key.destroyed", { sourceKeyId: id, label }),
  )
  report(token, "relabel", ({ args: [key], result: { id, label } }) =>
    log.event("key.relabelled", { sourceKeyId: id, label, before: key.label }),
  )
  report(token, "lock", ({ result: { id, label, attributes } }) =>
    log.event("key.locked", { sourceKeyId: id, label, attributes }),
  )
  report(token, "wrap", ({ args: [key], result, durationMs }) =>
    log.event("key.wrapped", { name: key.label, ...result, bytes: result.bytes.length, durationMs }),
  )
  report(token, "seal", ({ args: [{ id, label }, custodyKey], result: { mechanism, ciphertext }, durationMs }) => {
    const sealed = { sourceKeyId: id, label, custodyKey: custodyKey.label, mechanism, bytes: ciphertext.length }
    log.event("key.sealed", { ...sealed, durationMs })
  })
  report(token, "unseal", ({ args: [{ custodyKey }], result: { id, label }, durationMs }) =>
    log.event("key.unsealed", { sourceKeyId: id, label, custodyKey: custodyKey.label, durationMs }),
  )
  report(token, "generateCustodyKey", ({ result: { id, label, kcv, attributes }, durationMs }) =>
    log.event("custody-key.generated", { id, label, kcv, attributes, durationMs }),
  )
  report(token, "destroyCustodyKey", ({ args: [{ id, label }] }) => log.event("custody-key.destroyed", { id, label }))
  report(token, "selfTest", ({ result: capabilities, durationMs }) => {
    for (const capability of capabilities) log.event("self-test.done", { ...capability, durationMs })
  })
  report(token, "probeCustody", ({ result: { verdicts } }) => {
    for (const verdict of verdicts) log.event("custody.probed", verdict)
  })
}

/** Replaces one method of this token by itself and a report: methods that are not logged need no word here. */
function report<Name extends Method>(token: Token, name: Name, toLog: Report<Name>): void {
  type Call = (...args: Parameters<Token[Name]>) => Promise<Awaited<ReturnType<Token[Name]>>>
  const method = token[name].bind(token) as unknown as Call
  const reported: Call = (...args) => {
    const start = performance.now()
    return method(...args).then((result) => {
      toLog({ args, result, durationMs: Math.round(performance.now() - start) })
      return result
    })
  }
  Object.defineProperty(token, name, { value: reported })
}
