import ArgumentParser
import Karat

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what a checkpoint holds."
  )

  @Argument(help: "A model folder, or a file: .safetensors, .gguf, .kcf, or .bin of PyTorch.")
  var checkpoint: String

  @Flag(help: "List every tensor.")
  var tensors = false

  @Flag(help: "Print one JSON document.")
  var json = false

  @Flag(
    inversion: .prefixedNo,
    help: "Digest every tensor, however large the checkpoint; or none, however small."
  )
  var root: Bool?

  @Option(help: "Run a text through the model, and show what its routers of experts choose.")
  var router: String?

  @OptionGroup var resources: RunOptions
  @OptionGroup var memory: MemoryOptions

  func run() throws {
    if let router { return try showRouters(router) }
    let summary = try CheckpointSummary(
      checkpoint,
      root: root.map { $0 ? .always : .never } ?? .whereCheap,
      progress: Terminal.standard.progress
    )
    Terminal.standard.result(
      json ? summary.json(tensors: tensors).text : summary.text(tensors: tensors)
    )
  }

  /// Tokens of one window of the text.
  private static let window = 512

  private func showRouters(_ text: String) throws {
    let terminal = Terminal.standard
    let loaded = try LoadedModel.open(checkpoint)
    let tokens = try loaded.tokens(of: try DataFile(text))
    let windows = try TokenWindows(
      measuring: tokens,
      length: max(min(Self.window, loaded.maximumLength ?? Self.window), 2),
      name: text
    ).windows
    let routers = try Executor(
      loaded.model,
      threads: resources.threads,
      memory: memory.budget(terminal)
    ).routerStatistics(windows, progress: terminal.progress)
    guard !routers.isEmpty else {
      throw EngineError("\(checkpoint): the model has no experts, and so no router to show.")
    }
    terminal.result(
      json ? JSONValue.array(routers.map(\.json)).text : RouterStatistics.table(routers)
    )
  }
}
