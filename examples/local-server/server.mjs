// An OpenAI-compatible server for small language models on the processor: as little as Tollgate needs to be tried out with.
//
//   node server.mjs --port 8090 small=models/small.gguf large=models/large.gguf
//
// Speaks POST /v1/chat/completions (whole answers and streams) and GET /v1/models. Models whose template is ChatML (SmolLM2,
// Qwen 2.5) are prompted as they were trained. One call at a time per model; what a prompt shares with the one before it is
// read from the model's cache and reported as cached tokens.
import http from "node:http";
import process from "node:process";
import {getLlama} from "node-llama-cpp";

const CONTEXT_TOKENS = 4096;

const {port, threads, models: files} = readArguments(process.argv.slice(2));
// "never": take the binaries that the package brings, and compile nothing.
const llama = await getLlama({gpu: false, build: "never", maxThreads: threads, logLevel: "error"});
const models = new Map();
for (const [name, file] of files) {
    const model = await llama.loadModel({modelPath: file});
    const context = await model.createContext({contextSize: CONTEXT_TOKENS, threads});
    models.set(name, {model, sequence: context.getSequence(), queue: Promise.resolve()});
    console.error(`${name}: ${file}`);
}

const server = http.createServer((request, response) => {
    serve(request, response).catch((error) => {
        console.error(error);
        if (!response.headersSent) refuse(response, 500, String(error));
        response.end();
    });
});
server.listen(port, "127.0.0.1", () => console.error(`http://127.0.0.1:${server.address().port}/v1`));

async function serve(request, response) {
    if (request.method === "GET" && request.url === "/v1/models") {
        const data = [...models.keys()].map((id) => ({id, object: "model"}));
        return send(response, 200, {object: "list", data});
    }
    if (request.method !== "POST" || request.url !== "/v1/chat/completions") {
        return refuse(response, 404, `no ${request.method} ${request.url} here`);
    }
    let body = "";
    for await (const piece of request) body += piece;
    const asked = JSON.parse(body);
    const entry = models.get(asked.model);
    if (entry === undefined) return refuse(response, 404, `no model \`${asked.model}\`, expected one of ${[...models.keys()].join(", ")}`);
    const turn = entry.queue.then(() => complete(entry, asked, response));
    entry.queue = turn.catch(() => {});
    return turn;
}

async function complete({model, sequence}, asked, response) {
    const prompt = model.tokenize(chatMl(asked.messages), true);
    const limit = asked.max_completion_tokens ?? asked.max_tokens ?? 256;
    if (prompt.length + limit > CONTEXT_TOKENS) {
        return refuse(response, 400, `${prompt.length} prompt tokens and ${limit} of output exceed the context of ${CONTEXT_TOKENS}`);
    }
    // What is in the cache already stays there; at least one token has to be read anew to go on from.
    await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
    const cached = sequence.nextTokenIndex;
    const options = {temperature: asked.temperature ?? 0.7, seed: asked.seed};
    const answer = [];
    if (asked.stream) response.writeHead(200, {"content-type": "text/event-stream"});
    for await (const token of sequence.evaluate(prompt.slice(cached), options)) {
        answer.push(token);
        if (asked.stream) event(response, {choices: [{index: 0, delta: {content: model.detokenize([token])}, finish_reason: null}]});
        if (answer.length >= limit) break;
    }
    // The evaluation ends by itself when the model ends its answer.
    const ending = answer.length < limit ? "stop" : "length";
    const usage = {
        prompt_tokens: prompt.length,
        completion_tokens: answer.length,
        total_tokens: prompt.length + answer.length,
        prompt_tokens_details: {cached_tokens: cached},
    };
    if (asked.stream) {
        event(response, {choices: [{index: 0, delta: {}, finish_reason: ending}]});
        event(response, {choices: [], usage});
        return response.end("data: [DONE]\n\n");
    }
    const message = {role: "assistant", content: model.detokenize(answer)};
    const choices = [{index: 0, message, finish_reason: ending}];
    return send(response, 200, {object: "chat.completion", model: asked.model, choices, usage});
}

function chatMl(messages) {
    const said = messages.map(({role, content}) => `<|im_start|>${role}\n${words(content)}<|im_end|>\n`);
    return `${said.join("")}<|im_start|>assistant\n`;
}

function words(content) {
    return typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("");
}

function event(response, chunk) {
    response.write(`data: ${JSON.stringify({object: "chat.completion.chunk", ...chunk})}\n\n`);
}

function send(response, status, body) {
    response.writeHead(status, {"content-type": "application/json"});
    response.end(JSON.stringify(body));
}

function refuse(response, status, message) {
    send(response, status, {error: {message, type: "invalid_request_error"}});
}

function readArguments(words) {
    const found = {port: 8090, threads: 2, models: []};
    while (words.length > 0) {
        const word = words.shift();
        if (word === "--port") found.port = Number(words.shift());
        else if (word === "--threads") found.threads = Number(words.shift());
        else if (word.includes("=")) found.models.push([word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]);
        else throw new Error(`${word}: expected --port N, --threads N or name=file.gguf`);
    }
    if (found.models.length === 0) throw new Error("no model; expected name=file.gguf");
    return found;
}
