/**
 * Stands in for node-forge in the bundles. Only acme-client's legacy `forge` export uses it; that module
 * promisifies one function when it loads.
 */

export const pki = {
  rsa: {
    generateKeyPair: (): never => {
      throw new Error('node-forge is not part of this build')
    },
  },
}
