export declare function leftOut(
  env: Readonly<Record<string, string | undefined>>,
): Promise<Readonly<Record<'lambda' | 'functiongraph' | 'watch', readonly string[]>>>

export declare function missingFrom(
  inputs: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>>,
  where?: { readonly onLambda?: boolean },
): readonly string[]

/** A driver, and the package that it works by. */
export interface OptionalPackage {
  readonly section: 'sources' | 'solvers' | 'notifiers'
  readonly type: string
  readonly name: string
}

export declare function lackedBy(inputs: Readonly<Record<string, unknown>>): readonly OptionalPackage[]
