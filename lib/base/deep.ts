/** Whether a value holds objects and lists within each other, more than so many levels of them. */
export const isDeeperThan = (value: unknown, levels: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some(item => isDeeperThan(item, levels - 1)))
