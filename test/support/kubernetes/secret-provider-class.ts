import * as z from "zod"

/**
 * The shape of a SecretProviderClass, written down from the CRD of the Secrets Store CSI driver (secrets-store.csi.x-k8s.io/v1): no
 * npm package carries that CRD.
 */
const secretProviderClass = z.strictObject({
  apiVersion: z.literal("secrets-store.csi.x-k8s.io/v1"),
  kind: z.literal("SecretProviderClass"),
  metadata: z.strictObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  spec: z.strictObject({
    provider: z.string(),
    parameters: z.record(z.string(), z.string()).optional(),
    secretObjects: z.array(z.unknown()).optional(),
  }),
})

export function secretProviderClassFaults(object: unknown): readonly string[] {
  const { error } = secretProviderClass.safeParse(object)
  return error?.issues.map(({ path, message }) => `/${path.join("/")}: ${message}`) ?? []
}
