import type { Plugin } from 'esbuild'

/** Leaves out of undici what the doors never reach. */
export declare const leanUndici: Plugin
