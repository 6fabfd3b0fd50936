export declare function leftOut(
  env: Readonly<Record<string, string | undefined>>,
): Promise<Readonly<Record<'lambda' | 'functiongraph' | 'watch', readonly string[]>>>

export declare function missingFrom(
  lacks: readonly OptionalPackage[],
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

export declare function zipFor(
  out: string,
  name: 'lambda' | 'functiongraph' | 'functiongraph-watch',
  settings: readonly unknown[],
  where?: { readonly onLambda?: boolean },
): Promise<
  | { readonly zip: string; readonly missing: readonly [] }
  | { readonly zip: null; readonly missing: readonly string[] }
>
