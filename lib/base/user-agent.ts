import packageJson from '../../package.json' with { type: 'json' }

/** Names this program and its version to a service. */
export const USER_AGENT = `iotda-cert/${packageJson.version}`
