// Stands in for debug in the bundles: acme-client's own log lines go nowhere. CommonJS, because acme-client
// calls what require('debug') returns, and a bundler gives it a namespace for an ES module.
module.exports = () => () => {}
