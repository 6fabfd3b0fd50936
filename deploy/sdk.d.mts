export declare function leftOut(
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly onLambda: readonly string[]; readonly elsewhere: readonly string[] }>

export declare function missingFrom(
  inputs: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>>,
): readonly string[]
