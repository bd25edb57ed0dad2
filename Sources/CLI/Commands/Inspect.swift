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

  func run() throws {
    let summary = try CheckpointSummary(
      checkpoint,
      root: root.map { $0 ? .always : .never } ?? .whereCheap,
      progress: Terminal.standard.progress
    )
    Terminal.standard.result(
      json ? summary.json(tensors: tensors).text : summary.text(tensors: tensors)
    )
  }
}
