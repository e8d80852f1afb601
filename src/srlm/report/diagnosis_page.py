def write_diagnosis_page(found, out): pass
