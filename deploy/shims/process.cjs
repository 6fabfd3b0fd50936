// Stands in for node:process in commander: to require that reads its every member, standard input among them.
module.exports = process
