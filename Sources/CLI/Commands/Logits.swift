import ArgumentParser
import Karat

struct LogitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract: "Write a model's outputs, for comparison with other implementations.",
    discussion:
      "The file holds input_ids I64 [1, tokens] and logits F32 [1, tokens, vocabulary]; of an encoder "
      + "last_hidden_state F32 [1, tokens, hidden], sentence_embedding and, where it has one, "
      + "pooler_output F32 [1, hidden]."
  )

  @Argument(help: "The model.")
  var model: String

  @Option(help: "Token ids, separated by commas.")
  var ids: String?

  @Option(help: "A text; special tokens are added as the model expects.")
  var text: String?

  @Option(help: "The .safetensors file to write.")
  var output: String

  @Flag(help: "Replace a file that is there.")
  var force = false

  @OptionGroup var resources: RunOptions

  func validate() throws {
    guard (ids == nil) != (text == nil) else {
      throw ValidationError("give either --ids or --text.")
    }
    _ = try parsedIds()
  }

  func run() throws {
    let loaded = try LoadedModel.open(model)
    let tokens: [Int32]
    if let ids = try parsedIds() {
      tokens = ids
    } else {
      tokens = try loaded.tokenizer().encode(text ?? "", addSpecialTokens: true)
    }
    let executor = Executor(loaded.model, threads: resources.threads)
    var outputs = try executor.outputs(of: tokens)
    outputs["input_ids"] = Tensor(.i64, [1, tokens.count], copying: tokens.map(Int64.init))
    try SafetensorsWriter(replacing: force).write(MemorySource(outputs), to: output)
    Terminal.standard.message("Wrote \(output).")
  }

  private func parsedIds() throws -> [Int32]? {
    try ids?.split(separator: ",").map { part in
      let digits = part.filter { $0 != " " }
      guard let id = Int32(digits) else {
        throw ValidationError("--ids takes whole numbers separated by commas; '\(part)' is none.")
      }
      return id
    }
  }
}
