import ArgumentParser
import Karat

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Measure what a changed model lost against the one it came from.",
    discussion:
      "Both models run side by side over the same windows of text. The exit code tells the "
      + "verdict: 0 pass, 1 fail, 3 undecided."
  )

  @Argument(help: "The model that everything is measured against.")
  var reference: String

  @Argument(help: "The model that is judged.")
  var candidate: String

  @Option(help: "A text that neither model was calibrated on.")
  var data: String

  @Option(help: "The most that the perplexity may rise; 0.8% unless told otherwise.")
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
    let models = (try LoadedModel.open(reference), try LoadedModel.open(candidate))
    let text = try TextFile(data).text
    let tokens = try models.0.tokenizer().encode(text, addSpecialTokens: false)
    let cut = try TokenWindows(
      measuring: tokens,
      length: windows.window,
      limit: windows.windows,
      name: data
    )
    if let limit = models.0.maximumLength, windows.window > limit {
      terminal.message(
        "Note: windows of \(windows.window) tokens are longer than the \(limit) that the model was "
          + "made for."
      )
    }
    // The two models run side by side.
    let half = memory.budget(terminal).divided(by: 2)
    let verifier = Verifier(
      maximumDrop: maxDrop?.fraction ?? Verifier.defaultMaximumDrop,
      progress: terminal.progress
    )
    let findings = try verifier.compare(
      Verifier.Subject(
        Executor(models.0.model, threads: resources.threads, memory: half),
        byteCount: models.0.byteCount
      ),
      Verifier.Subject(
        Executor(models.1.model, threads: resources.threads, memory: half),
        byteCount: models.1.byteCount
      ),
      windows: cut.windows
    )
    if let json, json != "-" {
      var file = try AtomicFile(json, replacing: force)
      try file.write([UInt8]((findings.json.text + "\n").utf8))
      try file.commit()
    }
    terminal.result(json == "-" ? findings.json.text : findings.table)
    try findings.verdict.end()
  }
}
