/** The document in which the rotator says that it ran (lib/state/state.ts). */
export const LAST_RUN = 'runs/last'
