/** After these no PIN is presented to the token before it is another one, or `--retry-pin` is given (invariant I6). */
const REFUSED: ReadonlySet<string> = new Set([
  "ERR_TOKEN_PIN_INCORRECT",
  "ERR_TOKEN_PIN_REFUSED_BEFORE",
  "ERR_TOKEN_PIN_FINAL_TRY",
  "ERR_TOKEN_PIN_LOCKED",
  "ERR_TOKEN_LOGIN_FAILED",
])

/** Whether a row's reason, or an error's code, says so. */
export const isPinRefused = (reason: string): boolean => REFUSED.has(reason)
