/** An AWS KMS key ARN, `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`, taken apart. */
export interface KeyArn {
  readonly partition: string
  readonly region: string
  readonly account: string
  readonly keyId: string
}

const KEY_ARN = /^arn:([a-z0-9-]+):kms:([a-z0-9-]+):(\d{12}):key\/([A-Za-z0-9-]+)$/
const ALIAS = /^(arn:[a-z0-9-]+:kms:[a-z0-9-]+:\d{12}:)?alias\/[A-Za-z0-9/_-]{1,250}$/
const KEY_ID = /^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/** Parses a key ARN; undefined if it is not one. */
export function parseKeyArn(text: string): KeyArn | undefined {
  const [, partition, region, account, keyId] = KEY_ARN.exec(text) ?? []
  if (partition === undefined || region === undefined || account === undefined || keyId === undefined) return undefined
  return { partition, region, account, keyId }
}

/** Whether the key is multi-Region, which its ID says; its replicas have the same ID in other Regions. */
export const isMultiRegion = ({ keyId }: Pick<KeyArn, "keyId">): boolean => keyId.startsWith("mrk-")

/** Whether the text names an alias (`alias/NAME` or an alias ARN), which the import operations do not accept. */
export function isAlias(text: string): boolean {
  return ALIAS.test(text)
}

/** Whether the text is a key ID: a UUID, or `mrk-` and 32 hex digits. */
export function isKeyId(text: string): boolean {
  return KEY_ID.test(text)
}
