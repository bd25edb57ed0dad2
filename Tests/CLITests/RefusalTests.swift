import Foundation
import KaratTestSupport
import Testing

extension Command {
  /// What is asked for and makes no sense: it is said before any work is done, and nothing is written.
  @Suite struct Refusals {
    private func refused(
      _ place: Workplace,
      _ arguments: [String],
      _ status: Int32,
      _ message: String
    ) throws {
      let before = try place.names()
      let outcome = try place.run(arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(outcome.errors)")
      #expect(try place.names() == before, "\(arguments)")
    }

    /// alice, a text and recipes.
    private func prepare(_ place: Workplace) throws {
      try place.copy("alice", as: "alice")
      try place.text("botchan-calibration.txt", characters: 8_000, as: "text.txt")
    }

    private func recipe(_ passes: String, output: String = "out", _ rest: String = "") -> String {
      """
      version: 1
      model: alice
      output: \(output)
      calibration: text.txt
      passes:
      \(passes)
      ignore: ["lm_head"]
      \(rest)
      """
    }

    @Test func trainingsThatCannotTeach() throws {
      try inWorkplace { place in
        try prepare(place)
        let made = try place.karat("quantize", "alice", "int8", "--preset", "int8-weights")
        #expect(made.status == 0)
        let data = ["--data", "text.txt"]
        try refused(place, ["qat", "int8", "o", "--blocks"] + data, 65, "would be its own teacher")
        try refused(
          place,
          ["qat", "int8", "o", "--preset", "int8"] + data,
          64,
          "'int8' is quantized already"
        )
        try place.write(recipe("  - quantize-weights"), to: "r.yaml")
        try refused(
          place,
          ["qat", "alice", "o", "--recipe", "r.yaml"] + data,
          65,
          "no pass trains"
        )
        try refused(
          place,
          ["qat", "alice", "o", "--recipe", "r.yaml", "--steps", "3"] + data,
          64,
          "give one of them"
        )
        try refused(
          place,
          ["quantize", "int8", "o"] + ["--calibration", "text.txt"],
          65,
          "already"
        )
      }
    }

    @Test func numbersThatAreNone() throws {
      try inWorkplace { place in
        try prepare(place)
        let distill = ["distill", "alice", "o", "--data", "text.txt", "--layers", "2"]
        try refused(place, distill + ["--temperature", "inf"], 65, "temperature is infinity")
        try refused(place, distill + ["--temperature", "1e-300"], 65, "from 0.001 to 1000")
        try refused(place, distill + ["--states", "nan"], 65, "states is not a number")
        let qat = ["qat", "alice", "o", "--data", "text.txt"]
        try refused(place, qat + ["--range-rate", "inf"], 65, "range-rate is infinity")
        try refused(
          place,
          ["distill", "alice", "o.kcf", "--data", "text.txt", "--layers", "2"]
            + ["--shard-size", "1MB"],
          64,
          "--shard-size splits a folder"
        )
        try refused(place, qat + ["--threads", "9223372036854775807"], 64, "from 1 to 1024")
        try place.write(
          recipe("  - distil: { layers: 2, router-entropy: .inf }"),
          to: "r.yaml"
        )
        try refused(place, ["run", "r.yaml"], 65, "router-entropy is infinity")
        try place.write(recipe("  - distil: { layers: 2, balance: -1 }"), to: "s.yaml")
        try refused(place, ["run", "s.yaml"], 65, "balance is -1")
      }
    }

    @Test func recipesThatContradictThemselves() throws {
      try inWorkplace { place in
        try prepare(place)
        let cases = [
          (recipe("  - calibrate\n  - quantize-activations"), "weights are in floating point"),
          (
            recipe("  - quantize-activations: { granularity: token }"),
            "weights are in floating point"
          ),
          (recipe("  - quantize-weights", output: "o.safetensors"), "Name a folder"),
          (
            recipe("  - quantize-weights", "verify: { data: [text.txt, text.txt] }"),
            "'data' is '- text.txt - text.txt'; the path of one"
          ),
          (
            recipe("  - distil: { student: alice/config.json, layers: 1 }"),
            "student names a config, and sizes"
          ),
        ]
        for (index, (text, message)) in cases.enumerated() {
          try place.write(text, to: "\(index).yaml")
          try refused(place, ["run", "\(index).yaml"], 65, message)
        }
        try place.write("{bad", to: "bad.json")
        try refused(
          place,
          ["distill", "alice", "o", "--data", "text.txt", "--student", "bad.json"],
          65,
          "bad.json"
        )
      }
    }

    @Test func filesThatAreNeeded() throws {
      try inWorkplace { place in
        try prepare(place)
        #expect(try place.karat("convert", "alice", "a.kcf").status == 0)
        #expect(try place.karat("convert", "alice", "b.kcf", "--base", "a.kcf").status == 0)
        for output in ["a.kcf", "b.kcf"] {
          let before = try place.read(output)
          try refused(
            place,
            ["convert", "b.kcf", output, "--base", "b.kcf", "--force"],
            73,
            "would be gone"
          )
          #expect(try place.read(output) == before)
        }
        for report in ["a.kcf", "alice", "text.txt", "o", ""] {
          try refused(
            place,
            ["quantize", "a.kcf", "o", "--calibration", "text.txt", "--report", report, "--force"],
            64,
            "--report names the file of a page of its own"
          )
        }
        try place.write("kept", to: "there.json")
        try refused(
          place,
          ["verify", "alice", "alice", "--data", "text.txt", "--json", "there.json"],
          73,
          "there.json"
        )
      }
    }
  }
}
