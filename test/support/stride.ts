/**
 * Of the places where a command can be killed or a call can fail, every one is tried, or every n-th of them where
 * KEYFERRY_TEST_STRIDE=n is in the environment: test.sh takes every sixteenth, release-check.sh every eighth. Which of the n is the
 * first differs from run to run, and is printed; KEYFERRY_TEST_FIRST says it, so that two runs take different ones.
 */
export const STRIDE = Math.max(1, Number(process.env["KEYFERRY_TEST_STRIDE"] ?? 1))

export const FIRST = Number(process.env["KEYFERRY_TEST_FIRST"] ?? Math.floor(Math.random() * STRIDE)) % STRIDE

export const strideText = STRIDE === 1 ? "all" : `every ${STRIDE}. from ${FIRST}`
