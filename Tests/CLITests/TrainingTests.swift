import Foundation
import KaratTestSupport
import Testing

extension Command {
  /// `karat qat` and `karat distill`, and what ends them.
  @Suite struct Trainings {
    private static let recipe = """
      version: 1
      seed: 4
      passes:
        - calibrate: { observer: minmax, length: 64 }
        - quantize-weights
        - quantize-activations
        - quantization-aware-training: { steps: 12, batch: 4, length: 64, save-every: 2 }
      ignore: ["lm_head"]
      """

    @Test func aTrainingThatWasKilledGoesOnToTheSameBytes() throws {
      try inWorkplace { place in
        try place.copy("alice", as: "alice")
        try place.text("botchan-calibration.txt", characters: 20_000, as: "text.txt")
        try place.write(Self.recipe, to: "recipe.yaml")
        func arguments(_ output: String) -> [String] {
          ["quantize", "alice", output, "--recipe", "recipe.yaml", "--calibration", "text.txt"]
        }
        #expect(try place.run(arguments("whole")).status == 0)
        #expect(try !place.names().contains("whole.training"))
        let wasKilled = try place.kill(arguments("cut"), after: 0) {
          let part = "cut.training/4-quantization-aware-training"
          let names =
            FileManager.default.fileExists(atPath: place.path(part))
            ? try place.names(in: part) : []
          return names.contains { $0.hasPrefix("state-") && $0.hasSuffix(".safetensors") }
        }
        #expect(wasKilled)
        #expect(try !place.names().contains("cut"))
        let kept = try place.names(in: "cut.training/4-quantization-aware-training")
        #expect(kept.contains("metrics.jsonl"))
        #expect(try place.run(arguments("cut")).status == 0)
        #expect(try place.read("cut/model.safetensors") == place.read("whole/model.safetensors"))
        #expect(try !place.names().contains("cut.training"))
      }
    }

    @Test func studentsAreOrdinaryModels() throws {
      try inWorkplace { place in
        try place.copy("alice", as: "alice")
        try place.text("botchan-calibration.txt", characters: 20_000, as: "text.txt")
        try place.text("botchan-heldout.txt", characters: 20_000, as: "heldout.txt")
        let outcome = try place.karat(
          "distill",
          "alice",
          "student",
          "--data",
          "text.txt",
          "--layers",
          "2",
          "--steps",
          "3",
          "--batch",
          "2",
          "--length",
          "64",
          "--held-out",
          "heldout.txt",
          "--window",
          "64"
        )
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("allowed rise          any"))
        #expect(
          try place.karat("quantize", "student", "int8", "--preset", "int8-dynamic").status == 0
        )
        #expect(try place.karat("convert", "int8", "int8.kcf").status == 0)
        #expect(
          try place.karat("generate", "int8.kcf", "--prompt", "The", "--max-tokens", "3").status
            == 0
        )
        let record = String(decoding: try place.read("student/karat.json"), as: UTF8.self)
        #expect(record.contains(#""students""#))
      }
    }

    /// A student is made, quantized, and trained in integers by one recipe, and a page tells all of it.
    @Test func oneRecipeGoesFromATeacherToATrainedInteger() throws {
      let recipe = """
        version: 1
        seed: 2
        model: alice
        output: small
        calibration: text.txt
        passes:
          - distil: { layers: 2, steps: 6, batch: 2, length: 64 }
          - calibrate: { observer: minmax, length: 64 }
          - quantize-weights
          - quantize-activations
          - quantization-aware-training: { blocks: true, steps: 5, length: 64 }
          - quantization-aware-training: { steps: 4, batch: 2, length: 64 }
        ignore: ["lm_head"]
        verify: { data: heldout.txt, window: 64, max-drop: 1000% }
        """
      try inWorkplace { place in
        try place.copy("alice", as: "alice")
        try place.text("botchan-calibration.txt", characters: 20_000, as: "text.txt")
        try place.text("botchan-heldout.txt", characters: 6_000, as: "heldout.txt")
        try place.write(recipe, to: "recipe.yaml")
        let outcome = try place.karat("run", "recipe.yaml", "--report", "page.html")
        #expect(outcome.status == 0)
        #expect(outcome.errors.contains("quantization-aware-training: 10 steps in "))
        let page = String(decoding: try place.read("page.html"), as: UTF8.self)
        for title in [
          "Training: 1-distil", "Training: 5-quantization-aware-training",
          "Training: 6-quantization-aware-training", "After quantize-activations",
        ] {
          #expect(page.contains("<h2>\(title)</h2>"), "\(title)")
        }
        #expect(page.contains("<path class=\"line\" d=\"M"))
        #expect(!page.contains("http"))
        #expect(try !place.names().contains("small.training"))
        try place.write(recipe.replacing("small", with: "other"), to: "recipe.yaml")
        let again = try place.karat("run", "recipe.yaml", "--report", "page.html")
        #expect(again.status == 73)
        #expect(again.message.contains("page.html"))
        let nowhere = try place.karat("run", "recipe.yaml", "--report", "nowhere/page.html")
        #expect(nowhere.status == 66)
        #expect(nowhere.message.contains("nowhere"))
      }
    }

    /// A disk that is full when a state is to be written: an error that names it, and the last state whole.
    @Test func aStateThatDoesNotFitLeavesTheLastOne() throws {
      try inWorkplace { place in
        try place.copy("alice", as: "alice")
        try place.text("botchan-calibration.txt", characters: 20_000, as: "text.txt")
        try place.write(Self.recipe, to: "recipe.yaml")
        let arguments = [
          "quantize", "alice", "cut", "--recipe", "recipe.yaml", "--calibration", "text.txt",
        ]
        let part = "cut.training/4-quantization-aware-training"
        let wasKilled = try place.kill(arguments, after: 0) {
          let names =
            FileManager.default.fileExists(atPath: place.path(part))
            ? try place.names(in: part) : []
          return names.contains { $0.hasPrefix("state-") && $0.hasSuffix(".safetensors") }
        }
        #expect(wasKilled)
        let states = try place.names(in: part).filter { $0.hasPrefix("state-") }
        let kept = try states.map { try place.read("\(part)/\($0)") }
        let outcome = try place.run(arguments, shell: "ulimit -f 2000;")
        #expect(outcome.status == 74)
        #expect(outcome.message.contains("state-"))
        for (name, bytes) in zip(states, kept) {
          #expect(try place.read("\(part)/\(name)") == bytes)
        }
        #expect(try place.run(arguments).status == 0)
      }
    }

    @Test func whatCannotBeTrainedIsSaid() throws {
      try inWorkplace { place in
        try place.copy("alice", as: "alice")
        try place.copy("llama-tiny", as: "llama")
        try place.text("botchan-calibration.txt", characters: 100, as: "short.txt")
        var outcome = try place.karat(
          "distill",
          "alice",
          "out",
          "--data",
          "short.txt",
          "--layers",
          "2"
        )
        #expect(outcome.status == 65)
        #expect(outcome.message.hasPrefix("karat: short.txt: the calibration text has "))
        outcome = try place.karat(
          "distill",
          "alice",
          "out",
          "--data",
          "short.txt",
          "--layers",
          "99"
        )
        #expect(outcome.status == 65)
        #expect(outcome.message.contains("99"))
        outcome = try place.karat("distill", "alice", "out", "--data", "short.txt")
        #expect(outcome.status == 64)
        outcome = try place.karat(
          "qat",
          "alice",
          "out",
          "--data",
          "short.txt",
          "--teacher",
          "llama"
        )
        #expect(outcome.status == 66)
        #expect(try place.names() == ["alice", "llama", "short.txt"])
      }
    }
  }
}
