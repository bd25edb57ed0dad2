import ArgumentParser
import Karat

struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Show a text's token ids.",
    discussion: "Without --text, each line of standard input gives a line of ids."
  )

  @Argument(help: "A model with a tokenizer.")
  var model: String

  @Option(help: "The text.")
  var text: String?

  @Flag(help: "Add the special tokens that the model expects around a text.")
  var special = false

  func run() throws {
    let tokenizer = try ModelTokenizer.open(model)
    func show(_ text: String) {
      let ids = tokenizer.encode(text, addSpecialTokens: special)
      Terminal.standard.result(ids.map(String.init).joined(separator: " "))
    }
    if let text {
      show(text)
    } else {
      while let line = readLine() { show(line) }
    }
  }
}
