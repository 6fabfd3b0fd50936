/**
 * Of undici only what a tunnel needs (lib/http/tunnel.ts), put together as its index does, which loads fetch, WebSocket,
 * caches and mocks as well.
 */
exports.Client = require('undici/lib/dispatcher/client.js')
exports.Client.prototype.connect = require('undici/lib/api/api-connect.js')
