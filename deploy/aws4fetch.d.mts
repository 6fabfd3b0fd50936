import type { Plugin } from 'esbuild'

export declare const leanAws4fetch: Plugin
