import { build } from "esbuild"; import { gzipSync } from "node:zlib";
for (const w of ["/work/main","/work/wt/c-connection"]) for (const c of ['export * from "./src/client/client.ts"','export {connect} from "./src/client/client.ts"','export {connect,RoomError} from "./src/client/client.ts"']){
const r=await build({absWorkingDir:w,stdin:{contents:c,resolveDir:w},bundle:true,minify:true,format:"esm",target:"es2022",platform:"neutral",write:false}); console.log(w,c,gzipSync(r.outputFiles[0].contents,{level:9}).length)}
