// undici's index loads 400 KB; this is the module of it that is used.
declare module 'undici/lib/dispatcher/agent.js' {
  export { Agent as default } from 'undici'
}
