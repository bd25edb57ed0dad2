import ArgumentParser
import Foundation
import Karat

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Measure what a changed model lost against the one it came from.",
    discussion:
      "Both models run side by side over the same windows of text; encoders over its lines, or over "
      + "pairs in a .tsv file: a score and two texts, parted by tabs. A file that ends in .ids holds "
      + "token ids in place of text, as karat tokenize prints them. The exit code tells the "
      + "verdict: 0 pass, 1 fail, 3 undecided."
  )

  @Argument(help: "The model that everything is measured against.")
  var reference: String

  @Argument(help: "The model that is judged.")
  var candidate: String

  @Option(help: "A text that neither model was calibrated on; for encoders, or pairs as .tsv.")
  var data: String

  @Option(
    help:
      "The most that the perplexity may rise, or the correlation fall; 0.8% unless told otherwise."
  )
  var maxDrop: Percentage?

  @Option(help: "Write the findings as JSON; - for standard output.")
  var json: String?

  @Flag(help: "Replace a JSON file that is there.")
  var force = false

  @OptionGroup var windows: WindowOptions
  @OptionGroup var resources: RunOptions
  @OptionGroup var memory: MemoryOptions

  func run() throws {
    let terminal = Terminal.standard
    if let json, json != "-", !force, FileManager.default.fileExists(atPath: json) {
      throw CheckpointError(.exists, file: json, "it is there already; --force replaces it.")
    }
    let models = (try LoadedModel.open(reference), try LoadedModel.open(candidate))
    guard models.0.isEncoder == models.1.isEncoder else {
      throw DatasetError(
        "one of \(reference) and \(candidate) is an encoder and the other a decoder; two of a kind can "
          + "be compared."
      )
    }
    // The two models run side by side.
    let half = memory.budget(terminal).divided(by: 2)
    let verifier = Verifier(
      maximumDrop: maxDrop?.fraction ?? Verifier.defaultMaximumDrop,
      progress: terminal.progress
    )
    let subjects = (subject(models.0, half), subject(models.1, half))
    let findings: any VerificationReport
    if models.0.isEncoder {
      let texts = try models.0.embeddingTexts(of: data)
      findings = try verifier.compareEmbeddings(subjects.0, subjects.1, texts)
    } else {
      let cut = try cut(for: models.0)
      findings = try verifier.compare(subjects.0, subjects.1, windows: cut.windows)
    }
    if let json, json != "-" {
      var file = try AtomicFile(json, replacing: force)
      try file.write([UInt8]((findings.json.text + "\n").utf8))
      try file.commit()
    }
    terminal.result(json == "-" ? findings.json.text : findings.table)
    try findings.verdict.end()
  }

  private func subject(_ model: LoadedModel, _ memory: MemoryBudget) -> Verifier.Subject {
    Verifier.Subject(
      Executor(model.model, threads: resources.threads, memory: memory),
      byteCount: model.byteCount
    )
  }

  /// The windows that a decoder is scored on.
  private func cut(for model: LoadedModel) throws -> TokenWindows {
    let tokens = try model.tokens(of: try DataFile(data))
    if let limit = model.maximumLength, windows.window > limit {
      Terminal.standard.message(
        "Note: windows of \(windows.window) tokens are longer than the \(limit) that the model was "
          + "made for."
      )
    }
    return try TokenWindows(
      measuring: tokens,
      length: windows.window,
      limit: windows.windows,
      name: data
    )
  }
}
