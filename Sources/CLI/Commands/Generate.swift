import ArgumentParser
import Karat

struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Continue a text with a model.",
    discussion: """
      With --chat, the text is a user's message, written as the model's chat template wants it, and \
      the answer alone is shown. Templates in the ways of ChatML, Llama 3, DeepSeek and Mistral are \
      known; others are refused. What looks like a special token in a message stays text.
      """
  )

  @Argument(help: "The model.")
  var model: String

  @Option(help: "The text to continue.")
  var prompt: String

  @Flag(help: "The text is a message; show the model's answer.")
  var chat = false

  @Option(help: "With --chat: what the model is told about its part.")
  var system: String?

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
  @OptionGroup var memory: MemoryOptions

  func validate() throws {
    guard chat || system == nil else { throw ValidationError("--system takes --chat beside it.") }
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
    let conversation = chat ? try loaded.chat(with: tokenizer) : nil
    let ids =
      conversation?.prompt(system: system, user: prompt)
      ?? tokenizer.encode(prompt, addSpecialTokens: true)
    var decoder = StreamingDecoder(tokenizer)
    let budget = memory.budget(nil)
    if !chat { terminal.stream(prompt) }
    try Executor(
      loaded.model,
      threads: resources.threads,
      memory: budget
    ).generate(
      prompt: ids,
      maximumTokens: maxTokens,
      sampling: Sampling(temperature: temperature, topK: topK, topP: topP, seed: seed),
      stops: conversation?.stopTokens ?? loaded.stopTokens
    ) { token in
      terminal.stream(decoder.append(token))
      return true
    }
    terminal.stream(decoder.finish() + "\n")
  }
}
