/** A secret value that shows itself as `[secret]` wherever it is printed, serialised or inspected. */
export interface Secret {
  /** The value; call it only in the expression that needs it. */
  readonly reveal: () => string
  toString(): string
  toJSON(): string
}

const MASK = '[secret]'
/** `inspect.custom`, without the module. https://nodejs.org/api/util.html#utilinspectcustom */
const INSPECTED = Symbol.for('nodejs.util.inspect.custom')

/** Wraps a value so that no log, error, report or JSON text can show it by accident. */
export function secret(value: string): Secret {
  const it = {
    toString: () => MASK,
    toJSON: () => MASK,
    [INSPECTED]: () => MASK,
  }
  // Not enumerable: object spread and structured logging never see it.
  Object.defineProperty(it, 'reveal', { value: () => value, enumerable: false })
  return it as unknown as Secret
}

/** Whether a value was made by {@link secret}. */
export function isSecret(value: unknown): value is Secret {
  return typeof value === 'object' && value !== null && typeof (value as Secret).reveal === 'function'
}
