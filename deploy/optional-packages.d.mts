export declare function leftOut(
  env: Readonly<Record<string, string | undefined>>,
): Promise<Readonly<Record<'lambda' | 'functiongraph' | 'watch', readonly string[]>>>

export declare function missingFrom(
  inputs: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>>,
  where?: { readonly onLambda?: boolean },
): readonly string[]
