/** What a test started and has to stop; done after each test, or after all that run at once (setup.ts), last started first. */
export const cleanups: (() => void | Promise<void>)[] = []
