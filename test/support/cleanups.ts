/** What a test started and has to stop; done after each test (setup.ts), last started first. */
export const cleanups: (() => void | Promise<void>)[] = []
