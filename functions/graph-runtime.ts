/** What FunctionGraph tells of an event. https://support.huaweicloud.com/devg-functiongraph/functiongraph_02_0410.html */
export interface GraphContext {
  getRemainingTimeInMilliSeconds?(): number
  getUserData?(key: string): string | undefined
  /** Temporary keys of the function's agency; getAccessKey and getSecretKey are no longer kept up. */
  getSecurityAccessKey?(): string | undefined
  getSecuritySecretKey?(): string | undefined
  getSecurityToken?(): string | undefined
  /** Not in every version of the runtime: RUNTIME_PROJECT_ID says the same. */
  getProjectID?(): string | undefined
}

/** Asked anew for each event: the runtime renews the keys. */
export const runtimeOf = (context: GraphContext) => ({
  userData: (name: string) => context.getUserData?.(name) || undefined,
  credentials: () => {
    const accessKey = context.getSecurityAccessKey?.()
    const secretKey = context.getSecuritySecretKey?.()
    const securityToken = context.getSecurityToken?.()
    return accessKey && secretKey && securityToken ? { accessKey, secretKey, securityToken } : null
  },
  projectId: () => context.getProjectID?.() || undefined,
})
