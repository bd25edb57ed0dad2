import ArgumentParser
import Karat

struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Continue a text with a model."
  )

  @Argument(help: "The model.")
  var model: String

  @Option(help: "The text to continue.")
  var prompt: String

  @Option(help: "How many tokens to add at most.")
  var maxTokens = 64

  @Option(help: "0 takes the most likely token; higher is more varied.")
  var temperature: Float = 0

  @Option(help: "Consider only so many of the most likely tokens.")
  var topK: Int?

  @Option(help: "Consider only the most likely tokens that have this much probability together.")
  var topP: Float = 1

  @Option(help: "The same seed gives the same text.")
  var seed: UInt64 = 0

  @OptionGroup var resources: RunOptions

  func validate() throws {
    guard maxTokens >= 0 else { throw ValidationError("--max-tokens takes a number from 0.") }
    guard temperature >= 0, temperature.isFinite else {
      throw ValidationError("--temperature takes a number from 0.")
    }
    guard topP > 0, topP <= 1 else {
      throw ValidationError("--top-p takes a number above 0, to 1.")
    }
    if let topK, topK < 1 { throw ValidationError("--top-k takes a number from 1.") }
  }

  func run() throws {
    let terminal = Terminal.standard
    let loaded = try LoadedModel.open(model)
    let tokenizer = try loaded.tokenizer()
    let ids = tokenizer.encode(prompt, addSpecialTokens: true)
    var decoder = StreamingDecoder(tokenizer)
    terminal.stream(prompt)
    try Executor(loaded.model, threads: resources.threads).generate(
      prompt: ids,
      maximumTokens: maxTokens,
      sampling: Sampling(temperature: temperature, topK: topK, topP: topP, seed: seed),
      stops: loaded.stopTokens
    ) { token in
      terminal.stream(decoder.append(token))
      return true
    }
    terminal.stream(decoder.finish() + "\n")
  }
}
