import ArgumentParser
import Foundation
import Karat

struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Show a text's token ids, or the text of ids.",
    discussion: """
      Each line of the input gives a line of ids; with --whole, or as --text, it is one text. \
      A carriage return belongs to its line. Where texts hold line feeds, --null ends each text, \
      and each text of --decode, with a NUL byte in place of one.
      """
  )

  @Argument(help: "A model with a tokenizer, or a tokenizer.json.")
  var model: String

  @Option(help: "The text.")
  var text: String?

  @Option(help: "A file to read; otherwise it is standard input.")
  var file: String?

  @Flag(help: "Add the special tokens that the model expects around a text.")
  var special = false

  @Flag(help: "Take all of the input as one text.")
  var whole = false

  @Flag(help: "Texts end with a NUL byte, not with the line.")
  var null = false

  @Flag(help: "Read ids, and write their text, special tokens included.")
  var decode = false

  func validate() throws {
    if text != nil, file != nil { throw ValidationError("give --text or --file, not both.") }
  }

  func run() throws {
    let tokenizer = try ModelTokenizer.open(model)
    var output = BufferedOutput()
    for text in try texts() {
      if decode {
        let ids = try Self.ids(text)
        output.write(tokenizer.decode(ids, skipSpecialTokens: false))
        output.write(byte: null ? 0 : UInt8(ascii: "\n"))
      } else {
        output.write(ids: tokenizer.encode(utf8: Array(text), addSpecialTokens: special))
      }
    }
    output.flush()
  }

  /// The texts of the input, in order.
  private func texts() throws -> [ArraySlice<UInt8>] {
    if let text { return [Array(text.utf8)[...]] }
    let bytes =
      if let file {
        try ReadableFile.contents(of: file)
      } else {
        Array(try FileHandle.standardInput.readToEnd() ?? Data())
      }
    guard !whole else { return [bytes[...]] }
    let end = null && !decode ? 0 : UInt8(ascii: "\n")
    var texts = bytes.split(separator: end, omittingEmptySubsequences: false)
    // What ends the last text begins no other.
    if texts.last?.isEmpty == true { texts.removeLast() }
    return texts
  }

  private static func ids(_ text: ArraySlice<UInt8>) throws -> [Int32] {
    try text.split(separator: UInt8(ascii: " ")).map { word in
      let word = String(decoding: word, as: UTF8.self)
      guard let id = Int32(word) else {
        throw ValidationError("'\(word)' is no token id; --decode reads numbers between spaces.")
      }
      return id
    }
  }
}

/// Standard output in large pieces: a write for each of many short lines would take most of the time.
private struct BufferedOutput {
  private var bytes: [UInt8] = []

  mutating func write(ids: [Int32]) {
    write(ids.map(String.init).joined(separator: " ") + "\n")
  }

  mutating func write(_ text: String) {
    bytes += text.utf8
    if bytes.count > 1 << 20 { flush() }
  }

  mutating func write(byte: UInt8) { bytes.append(byte) }

  mutating func flush() {
    Terminal.standard.stream(String(decoding: bytes, as: UTF8.self))
    bytes = []
  }
}
