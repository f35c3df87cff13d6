import { spy, sharedSofthsmToken, type TestToken } from "#test/support/tokens.js"
import { inChild, type Job } from "./child.js"
import { type Measure, median } from "./measure.js"
import { assertSameCalls } from "./same-calls.js"
import { benchToken, tokenPace, wrappingKey4096 } from "./token-pace.js"
import { type Pace, wrapLoop } from "./wrap-loop.js"

const ROUNDS = 7
const SECONDS = 0.7
const MANY = 8
/** The first key of a kind is read attribute by attribute, so the last of a few is looked at. */
const RECORDED_KEYS = 3

/** A few keys through keyferry's token, in a process whose module is recorded. */
export const recordedKeys: Job<TestToken, Pace> = async (token) => {
  await using opened = await benchToken(token, 1, new Map())
  return await tokenPace(opened, wrappingKey4096(), { seconds: 60, keys: RECORDED_KEYS, atOnce: 1 })
}

/**
 * (a) Generate, read back, wrap under RSA_4096 (OAEP with SHA-1), destroy: keyferry's token with one session and with
 * eight against the C program, in turns, and the median of the rounds.
 */
export async function tokenCalls(say: (text: string) => void): Promise<readonly Measure[]> {
  const token = sharedSofthsmToken()
  const under = wrappingKey4096()
  const inC = wrapLoop(under.modulus)
  say(`both make the same ${await compareCalls(token, inC)} calls a key`)

  const verdicts = new Map<string, unknown>()
  await using one = await benchToken(token, 1, verdicts)
  await using many = await benchToken(token, MANY, verdicts)
  const turns = {
    c: () => Promise.resolve(inC(token, { seconds: SECONDS })),
    one: () => tokenPace(one, under, { seconds: SECONDS, atOnce: 1 }),
    many: () => tokenPace(many, under, { seconds: SECONDS, atOnce: MANY }),
  }
  await turns.one()
  await turns.many()
  const rounds: { c: number; one: number; many: number }[] = []
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push({ c: rate(await turns.c()), one: rate(await turns.one()), many: rate(await turns.many()) })
  }
  const middle = (of: (round: (typeof rounds)[number]) => number): number => median(rounds.map(of))
  return [
    { part: "a", what: "C, one session", value: middle(({ c }) => c), unit: "/s" },
    { part: "a", what: "keyferry, one session", value: middle(({ one }) => one), unit: "/s" },
    { part: "a", what: `keyferry, ${MANY} sessions`, value: middle(({ many }) => many), unit: "/s" },
    {
      part: "a",
      what: "one session against C",
      value: middle(({ c, one }) => one / c),
      unit: "",
      target: { bound: "at least", value: 0.25 },
    },
    {
      part: "a",
      what: `${MANY} sessions against one`,
      value: middle(({ one, many }) => many / one),
      unit: "times",
      target: { bound: "at least", value: 1.5 },
    },
  ]
}

async function compareCalls(token: TestToken, inC: ReturnType<typeof wrapLoop>): Promise<number> {
  // a recording goes with the token's folder, which this part still needs
  const ours = spy({ ...token, remove: () => undefined })
  const theirs = spy({ ...token, remove: () => undefined })
  try {
    await inChild("recorded-keys", ours, ours.env)
    inC(theirs, { seconds: 60, keys: RECORDED_KEYS })
    return assertSameCalls(ours, theirs).length
  } finally {
    ours.remove()
    theirs.remove()
  }
}

function rate({ keys, seconds }: Pace): number {
  return keys / seconds
}
