import type { Token } from "../core/ports/token.js"
import type { Log } from "../core/ports/log.js"

/** A token that says in the log what was done through it; results and refusals pass through unchanged. */
export function loggedToken(token: Token, log: Log): Token {
  log.event("token.opened", token.info)
  const timed = async <T>(run: () => Promise<T>, say: (value: T, durationMs: number) => void): Promise<T> => {
    const start = performance.now()
    const value = await run()
    say(value, Math.round(performance.now() - start))
    return value
  }
  return {
    info: token.info,
    findSourceKeys: (by) => token.findSourceKeys(by),
    search: (by) => token.search(by),
    publicKey: (key) => token.publicKey(key),
    mac: (key, message) => token.mac(key, message),
    findCustodyKeys: (owner) => token.findCustodyKeys(owner),
    findKeys: (by) => token.findKeys(by),
    generateCustodyKey: (template) =>
      timed(
        () => token.generateCustodyKey(template),
        ({ id, label, kcv, attributes }, durationMs) =>
          log.event("custody-key.generated", { id, label, kcv, attributes, durationMs }),
      ),
    destroyCustodyKey: (key) =>
      timed(
        () => token.destroyCustodyKey(key),
        () => log.event("custody-key.destroyed", { id: key.id, label: key.label }),
      ),
    seal: (key, under) =>
      timed(
        () => token.seal(key, under),
        ({ ciphertext, mechanism }, durationMs) =>
          log.event("key.sealed", {
            sourceKeyId: key.id,
            label: key.label,
            custodyKey: under.label,
            mechanism,
            bytes: ciphertext.length,
            durationMs,
          }),
      ),
    unseal: (sealed) =>
      timed(
        () => token.unseal(sealed),
        ({ id, label }, durationMs) =>
          log.event("key.unsealed", { sourceKeyId: id, label, custodyKey: sealed.custodyKey.label, durationMs }),
      ),
    lock: (key) =>
      timed(
        () => token.lock(key),
        ({ id, label, attributes }) => log.event("key.locked", { sourceKeyId: id, label, attributes }),
      ),
    relabel: (key, to) =>
      timed(
        () => token.relabel(key, to),
        ({ id, label }) => log.event("key.relabelled", { sourceKeyId: id, label, before: key.label }),
      ),
    generateSourceKey: (template) =>
      timed(
        () => token.generateSourceKey(template),
        ({ id, label, keySpec, custody }, durationMs) => {
          log.event("key.generated", { sourceKeyId: id, label, keySpec, custody, durationMs })
        },
      ),
    destroySourceKey: (key) =>
      timed(
        () => token.destroySourceKey(key),
        () => log.event("key.destroyed", { sourceKeyId: key.id, label: key.label }),
      ),
    selfTest: (requests, options) =>
      timed(
        () => token.selfTest(requests, options),
        (verdicts, durationMs) => {
          for (const verdict of verdicts) log.event("self-test.done", { ...verdict, durationMs })
        },
      ),
    probeCustody: (options) =>
      timed(
        () => token.probeCustody(options),
        ({ verdicts }) => {
          for (const verdict of verdicts) log.event("custody.probed", verdict)
        },
      ),
    wrap: (key, under, capability) =>
      timed(
        () => token.wrap(key, under, capability),
        (wrapped, durationMs) => {
          log.event("key.wrapped", { name: key.label, ...wrapped, bytes: wrapped.bytes.length, durationMs })
        },
      ),
    [Symbol.asyncDispose]: () => token[Symbol.asyncDispose](),
  }
}
