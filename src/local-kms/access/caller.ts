/** Who calls: a session of a role that AssumeRole lent, or whoever has an access key. */
export interface Caller {
  /** As GetCallerIdentity says it. */
  readonly arn: string
  /** `aws:PrincipalArn`: of a session the role's. */
  readonly principalArn: string
  readonly account: string
  /** By what policies are his: the role's name, or the access key ID. */
  readonly policyName: string
}

const SESSION = /^(arn:[a-z-]+):sts::(\d{12}):assumed-role\/([^/]+)\/[^/]+$/

/** @param sessionToken header X-Amz-Security-Token: a session of AssumeRole says there whose it is */
export function callerOf(credentials: {
  readonly accessKeyId: string
  readonly sessionToken: string | undefined
  readonly account: string
}): Caller {
  const { accessKeyId, sessionToken = "", account } = credentials
  const arn = Buffer.from(sessionToken, "base64url").toString()
  const [, partition, , role] = SESSION.exec(arn) ?? []
  if (partition === undefined || role === undefined) {
    const user = `arn:aws:iam::${account}:user/local-kms`
    return { arn: user, principalArn: user, account, policyName: accessKeyId }
  }
  return { arn, principalArn: `${partition}:iam::${account}:role/${role}`, account, policyName: role }
}
