import ArgumentParser
import Karat

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what a checkpoint holds."
  )

  @Argument(help: "A model folder, a .safetensors file or a .gguf file.")
  var checkpoint: String

  @Flag(help: "List every tensor.")
  var tensors = false

  @Flag(help: "Print one JSON document.")
  var json = false

  func run() throws {
    let summary = try CheckpointSummary(checkpoint)
    Terminal.standard.result(
      json ? summary.json(tensors: tensors).text : summary.text(tensors: tensors)
    )
  }
}
